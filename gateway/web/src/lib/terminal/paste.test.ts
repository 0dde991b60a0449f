// What a paste is before anything of it is sent.
import { expect, it } from 'vitest';

import { cleanPaste, lineCount, pressesEnter } from './paste';

it('keeps text, tabs and line ends, and drops what could pass for keys or hide', () => {
  expect(cleanPaste('a\tb\r\nc\rd\ne 漢🚢')).toBe('a\tb\nc\nd\ne 漢🚢');
  expect(cleanPaste('ls\x1b[201~; rm\x03\x7f\x9b1A')).toBe('ls[201~; rm1A');
  expect(cleanPaste('a\u202eb\u2066c')).toBe('abc');
});

it.each([
  ['ls', 1, false],
  ['ls\n', 1, true],
  ['a\nb', 2, true],
  ['a\n\nb\n', 3, true],
])('counts the lines of %j', (text, lines, enter) => {
  expect([lineCount(text), pressesEnter(text)]).toEqual([lines, enter]);
});
