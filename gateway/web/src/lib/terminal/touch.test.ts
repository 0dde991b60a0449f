// Fingers and what they mean.
import { expect, it, vi } from 'vitest';

import { Gesture } from './touch';

function gesture() {
  const events = { onScroll: vi.fn(), onPan: vi.fn(), onPinchStart: vi.fn(), onPinch: vi.fn() };
  return { events, gesture: new Gesture(events) };
}

const at = (clientX: number, clientY: number) => ({ clientX, clientY });

it('a tap is the terminal’s', () => {
  const { events, gesture: g } = gesture();
  g.start([at(10, 100)]);
  expect(g.move([at(12, 105)])).toBe(false);
  expect(events.onScroll).not.toHaveBeenCalled();
});

it('one finger upwards scrolls down, pixel by pixel', () => {
  const { events, gesture: g } = gesture();
  g.start([at(10, 100)]);
  expect(g.move([at(10, 80)])).toBe(true);
  expect(g.move([at(10, 79)])).toBe(true);
  expect(events.onScroll.mock.calls).toEqual([
    [20, 10, 80],
    [1, 10, 79],
  ]);
});

it('two fingers pinch, and one that stays scrolls nothing until it moves', () => {
  const { events, gesture: g } = gesture();
  g.start([at(0, 0)]);
  g.start([at(0, 0), at(30, 40)]);
  expect(g.move([at(0, 0), at(60, 80)])).toBe(true);
  expect(events.onPinch).toHaveBeenCalledWith(2);
  g.start([at(60, 80)]);
  expect(g.move([at(60, 82)])).toBe(false);
  expect(events.onScroll).not.toHaveBeenCalled();
});

it('one finger aside pans, and goes on doing so', () => {
  const { events, gesture: g } = gesture();
  g.start([at(100, 100)]);
  expect(g.move([at(80, 104)])).toBe(true);
  expect(g.move([at(79, 140)])).toBe(true);
  expect(events.onPan.mock.calls).toEqual([[20], [1]]);
  expect(events.onScroll).not.toHaveBeenCalled();
});
