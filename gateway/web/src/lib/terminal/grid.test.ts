import { expect, it } from 'vitest';

import { LEAST_FONT_SIZE, fontSizeFor, screenFor, scrollToShow } from './grid';

const CELL = { width: 8, height: 16 };

it('shrinks the text until a desk fits on a phone, and no further than it can be read', () => {
  const desk = { columns: 120, rows: 40 };
  expect(fontSizeFor(desk, { width: 960, height: 640 }, CELL, 13, 13)).toBe(13);
  expect(fontSizeFor(desk, { width: 640, height: 640 }, CELL, 13, 13)).toBe(8.5);
  expect(fontSizeFor(desk, { width: 360, height: 640 }, CELL, 13, 13)).toBe(LEAST_FONT_SIZE);
});

it('never makes the text larger than is preferred', () => {
  expect(fontSizeFor({ columns: 40, rows: 12 }, { width: 2000, height: 2000 }, CELL, 13, 13)).toBe(13);
});

it('keeps what is preferred while there is nothing to measure', () => {
  expect(
    fontSizeFor({ columns: 80, rows: 24 }, { width: 0, height: 0 }, { width: 0, height: 0 }, 13, 13),
  ).toBe(13);
});

it('knows what would fill the area, whatever size the text has now', () => {
  const area = { width: 400, height: 320 };
  expect(screenFor(area, CELL, 13, 13)).toEqual({ columns: 50, rows: 20 });
  expect(screenFor(area, { width: 4, height: 8 }, 6.5, 13)).toEqual({ columns: 50, rows: 20 });
  expect(screenFor({ width: 1, height: 1 }, CELL, 13, 13)).toEqual({ columns: 2, rows: 1 });
});

it('scrolls as little as it takes', () => {
  expect(scrollToShow(10, 20, 0, 100)).toBe(0);
  expect(scrollToShow(150, 160, 0, 100)).toBe(60);
  expect(scrollToShow(10, 20, 60, 100)).toBe(10);
});
