// What programs may ask of the clipboard.
import { expect, it } from 'vitest';

import { MAX_COPY_BYTES, parseOsc52 } from './clipboard';

const encode = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

it('takes text for any selection', () => {
  expect(parseOsc52(`c;${encode('héllo 漢')}`)).toEqual({ text: 'héllo 漢' });
  expect(parseOsc52(`;${encode('x')}`)).toEqual({ text: 'x' });
});

it('never answers a question', () => {
  expect(parseOsc52('c;?')).toEqual({ refused: 'query' });
});

it('is bounded', () => {
  expect(parseOsc52(`c;${btoa('x'.repeat(MAX_COPY_BYTES))}`)).toEqual({ text: 'x'.repeat(MAX_COPY_BYTES) });
  expect(parseOsc52(`c;${btoa('x'.repeat(MAX_COPY_BYTES + 1))}`)).toEqual({ refused: 'too long' });
});

it.each(['c;', 'c;!!!', 'c;/w==', ''])('takes %j for nothing', (payload) => {
  expect(parseOsc52(payload)).toEqual({ refused: 'unreadable' });
});
