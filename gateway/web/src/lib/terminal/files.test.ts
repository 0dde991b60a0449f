// What is taken for a file, what it is called, and that its path is one harmless word.
import { expect, it } from 'vitest';

import { type Transfer, filesOf, pastedFiles, pastedName, shellQuote, typedPaths } from './files';

const file = (name: string) => ({ kind: 'file', getAsFile: () => new File(['x'], name) });
const folder = { ...file('d'), webkitGetAsEntry: () => ({ isDirectory: true }) };
const text = { kind: 'string', getAsFile: () => null };
const transfer = (types: string[], ...items: Transfer['items'][]): Transfer => ({
  types,
  items: items.flatMap((each) => [...each]),
});

it('takes files and counts folders', () => {
  const brought = filesOf(transfer(['Files'], [file('a.png'), folder, text, file('b')]));
  expect(brought.files.map(({ name }) => name)).toEqual(['a.png', 'b']);
  expect(brought.folders).toBe(1);
  expect(filesOf(null)).toEqual({ files: [], folders: 0 });
});

it('pastes files before text, but text that has a picture beside it as text', () => {
  expect(pastedFiles(transfer(['Files'], [file('image.png')]))?.files).toHaveLength(1);
  expect(pastedFiles(transfer(['text/html', 'Files'], [text, file('image.png')]))?.files).toHaveLength(1);
  expect(pastedFiles(transfer(['text/plain', 'Files'], [text, file('a.txt')]))?.files).toHaveLength(1);
  expect(pastedFiles(transfer(['text/plain', 'text/html', 'Files'], [text, file('image.png')]))).toBeNull();
  expect(pastedFiles(transfer(['text/plain'], [text]))).toBeNull();
  expect(pastedFiles(null)).toBeNull();
});

it('names pasted images by date and time, and nothing else', () => {
  const now = new Date(2026, 0, 2, 3, 4, 5);
  const named = (name: string, type: string) => pastedName({ name, type }, now);
  expect(named('image.png', 'image/png')).toBe('pasted-2026-01-02-030405.png');
  expect(named('', 'image/jpeg')).toBe('pasted-2026-01-02-030405.jpeg');
  expect(named('', '')).toBe('pasted-2026-01-02-030405.png');
  expect(named('photo.png', 'image/png')).toBe('photo.png');
  expect(named('image.txt', 'text/plain')).toBe('image.txt');
});

it.each([
  ['/home/a-b/c_1.tar.gz', '/home/a-b/c_1.tar.gz'],
  ['/a b', "'/a b'"],
  ["/it's", "'/it'\\''s'"],
  ['/$(x);`y`"\\', `'/$(x);\`y\`"\\'`],
  ['/ü', "'/ü'"],
  ['/~', "'/~'"],
])('quotes %s for a shell', (path, quoted) => {
  expect(shellQuote(path)).toBe(quoted);
});

it('types paths one after the other, and none that would press a key', () => {
  expect(typedPaths(['/a', '/b c'])).toBe("/a '/b c' ");
  for (const path of ['/a\nb', '/a\rb', '/a\tb', '/a\x1b[2J', '/a\u202eb']) {
    expect(typedPaths(['/good', path])).toBeNull();
  }
});
