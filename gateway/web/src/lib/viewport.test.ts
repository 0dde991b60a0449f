// What an on-screen keyboard covers, and where that leaves the cursor.
import { expect, it } from 'vitest';

import { keyboardHeight, panFor } from './viewport';

it('tells a keyboard from a browser’s bar', () => {
  expect(keyboardHeight(844, 500)).toBe(344);
  expect(keyboardHeight(844, 788)).toBe(0);
  expect(keyboardHeight(788, 844)).toBe(0);
});

it('moves no further than the cursor needs', () => {
  expect(panFor(300, 400)).toBe(0);
  expect(panFor(700, 400)).toBe(300);
});
