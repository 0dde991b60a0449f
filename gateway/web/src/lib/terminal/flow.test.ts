// Acknowledgements: a running total, told when enough has gathered.
import { expect, it } from 'vitest';

import { ACK_EVERY_BYTES, AckMeter } from './flow';

it('is due after 64 KiB and tells the total', () => {
  const meter = new AckMeter();
  expect(meter.pending).toBe(false);
  meter.drawn(ACK_EVERY_BYTES - 1);
  expect([meter.due, meter.pending]).toEqual([false, true]);
  meter.drawn(1);
  expect(meter.due).toBe(true);
  expect(meter.take()).toBe(ACK_EVERY_BYTES);
  expect([meter.due, meter.pending]).toEqual([false, false]);
  meter.drawn(5);
  expect(meter.take()).toBe(ACK_EVERY_BYTES + 5);
});
