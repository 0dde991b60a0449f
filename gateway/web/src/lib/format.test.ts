// Numbers as people read them, at the edges between units.
import { expect, it } from 'vitest';

import { formatBytes, percentOf } from './format';

it.each([
  [0, '0 B'],
  [999, '999 B'],
  [1024, '1.0 KB'],
  [1000, '1.0 KB'],
  [1.5 * 1024 ** 3, '1.5 GB'],
  [16 * 1024 ** 3, '16 GB'],
  [-5, '0 B'],
])('formats %d bytes as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

it('gives a share as a percentage within its bounds', () => {
  expect(percentOf(1, 3)).toBe(33);
  expect(percentOf(5, 4)).toBe(100);
  expect(percentOf(1, 0)).toBe(0);
});
