// How many cells a character takes, for those characters where terminals agree. Anything else (emoji, combining
// marks, scripts that join) is not predicted at all: a wrong width would move everything after it.

const NARROW: readonly (readonly [number, number])[] = [
  [0x20, 0x7e],
  [0xa1, 0xac], // Latin-1, without the soft hyphen
  [0xae, 0x2af],
  [0x370, 0x482], // Greek, Cyrillic
  [0x48a, 0x52f],
];

const WIDE: readonly (readonly [number, number])[] = [
  [0x3041, 0x3096], // Hiragana
  [0x30a1, 0x30fa], // Katakana
  [0x3400, 0x4dbf], // Han
  [0x4e00, 0x9fff],
  [0xac00, 0xd7a3], // Hangul
  [0xff01, 0xff60], // fullwidth forms
];

/** The cells of a single character; null for more than one, for control characters and where one can't be sure. */
export function widthOf(text: string): 1 | 2 | null {
  const code = text.codePointAt(0);
  if (code === undefined || String.fromCodePoint(code) !== text) return null;
  if (within(NARROW, code)) return 1;
  return within(WIDE, code) ? 2 : null;
}

function within(ranges: typeof NARROW, code: number): boolean {
  return ranges.some(([first, last]) => code >= first && code <= last);
}
