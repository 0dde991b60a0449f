// What the extra keys send, and telling typing from the terminal's own reports.
import { describe, expect, it } from 'vitest';

import { isTyped, pageKey, sequenceOf, withAlt, withCtrl } from './keys';

describe('extra keys', () => {
  it('follow the modes of the terminal', () => {
    expect(sequenceOf('up', { ctrl: false, alt: false, applicationCursor: false })).toBe('\x1b[A');
    expect(sequenceOf('up', { ctrl: false, alt: false, applicationCursor: true })).toBe('\x1bOA');
    expect(sequenceOf('left', { ctrl: true, alt: false, applicationCursor: true })).toBe('\x1b[1;5D');
    expect(sequenceOf('escape', { ctrl: true, alt: false, applicationCursor: false })).toBe('\x1b');
    expect(sequenceOf('up', { ctrl: false, alt: true, applicationCursor: true })).toBe('\x1b[1;3A');
    expect(sequenceOf('up', { ctrl: true, alt: true, applicationCursor: false })).toBe('\x1b[1;7A');
    expect(sequenceOf('tab', { ctrl: false, alt: true, applicationCursor: false })).toBe('\x1b\t');
  });
});

describe('sticky Alt', () => {
  it('turns a character into what Alt sends, and leaves the rest', () => {
    expect(withAlt('b')).toBe('\x1bb');
    expect(withAlt('\x06')).toBe('\x1b\x06');
    expect(withAlt('pasted')).toBe('pasted');
  });
});

describe('sticky Ctrl', () => {
  it.each([
    ['c', '\x03'],
    ['C', '\x03'],
    ['[', '\x1b'],
    [' ', '\0'],
    ['?', '\x7f'],
    ['1', '1'],
    ['é', 'é'],
    ['pasted', 'pasted'],
  ])('turns %j into %j', (data, sent) => {
    expect(withCtrl(data)).toBe(sent);
  });
});

describe('isTyped', () => {
  it.each([
    'a',
    '漢',
    '\r',
    '\x1b',
    '\x1b[A',
    '\x1b[1;5C',
    '\x1bOA',
    '\x1b[3~',
    '\x1b[200~x\x1b[201~',
    '\x1bP',
  ])('takes %j for typing', (data) => {
    expect(isTyped(data)).toBe(true);
  });

  it.each([
    '\x1b[I',
    '\x1b[O',
    '\x1b[<0;10;5M',
    '\x1b[M !!',
    '\x1b[?1;2c',
    '\x1b[>0;276;0c',
    '\x1b[24;80R',
    '\x1b[0n',
    '\x1bP1$r0m\x1b\\',
    '\x1b]11;rgb:10/15/1a\x07',
  ])('takes %j for a report', (data) => {
    expect(isTyped(data)).toBe(false);
  });
});

describe('keys of the page', () => {
  const none = { code: '', ctrlKey: false, metaKey: false, shiftKey: false, altKey: false };

  it.each([
    [{ key: 'F6', shiftKey: true }, 'leave'],
    [{ key: 'C', code: 'KeyC', ctrlKey: true, shiftKey: true }, 'copy'],
    [{ key: 'c', code: 'KeyC', metaKey: true, shiftKey: true }, 'copy'],
    [{ key: '+', ctrlKey: true }, 1],
    [{ key: '=', metaKey: true }, 1],
    [{ key: '-', ctrlKey: true }, -1],
    [{ key: '0', ctrlKey: true }, 'default'],
  ])('%j', (event, act) => {
    expect(pageKey({ ...none, ...event }, true)).toBe(act);
  });

  it.each([
    { key: 'F6' },
    { key: 'c', code: 'KeyC', ctrlKey: true },
    { key: '_', ctrlKey: true, shiftKey: true },
    { key: '-' },
    { key: '0', ctrlKey: true, altKey: true },
  ])('%j is the box’s', (event) => {
    expect(pageKey({ ...none, ...event }, true)).toBeNull();
  });

  it('copies nothing without a selection', () => {
    const event = { ...none, key: 'C', code: 'KeyC', ctrlKey: true, shiftKey: true };
    expect(pageKey(event, false)).toBeNull();
  });
});
