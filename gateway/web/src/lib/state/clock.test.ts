// Times of day.
import { expect, it } from 'vitest';

import { clockOf, minuteOf } from './clock';

it.each([
  [0, '00:00'],
  [421, '07:01'],
  [1439, '23:59'],
])('shows %d as %s and reads it again', (minute, clock) => {
  expect(clockOf(minute)).toBe(clock);
  expect(minuteOf(clock)).toBe(minute);
});

it.each(['', '24:00', '7:00', '12:60', 'noon'])('knows no time %s', (clock) =>
  expect(minuteOf(clock)).toBeNull(),
);
