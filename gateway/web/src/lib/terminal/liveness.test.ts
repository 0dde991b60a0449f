// Silence and what it proves: on a running page, and on one that was asleep.
import { describe, expect, it } from 'vitest';

import { DEAD_AFTER_MS, Liveness, PROOF_MS, STALLED_AFTER_MS, TICK_MS } from './liveness';

/** Ticks every second from one time to another and returns the last answer. */
function run(liveness: Liveness, from: number, to: number) {
  let answer = liveness.tick(from);
  for (let now = from + TICK_MS; now <= to; now += TICK_MS) answer = liveness.tick(now);
  return answer;
}

describe('Liveness', () => {
  it('goes from well over stalled to dead in silence', () => {
    const liveness = new Liveness(0);
    expect(run(liveness, 0, STALLED_AFTER_MS - TICK_MS).health).toBe('well');
    expect(liveness.tick(STALLED_AFTER_MS).health).toBe('stalled');
    expect(run(liveness, STALLED_AFTER_MS, DEAD_AFTER_MS - TICK_MS).health).toBe('stalled');
    expect(liveness.tick(DEAD_AFTER_MS).health).toBe('dead');
  });

  it.each([600_000, 3_600_000])('does not call a connection dead because the page slept %d ms', (slept) => {
    const liveness = new Liveness(0);
    run(liveness, 0, 5_000);
    expect(liveness.tick(slept)).toEqual({ health: 'stalled', ping: true });
    liveness.heard(slept + 500);
    expect(run(liveness, slept + 1_000, slept + 8_000)).toEqual({ health: 'well', ping: false });
  });

  it('gives a suspected connection a short time to answer', () => {
    const liveness = new Liveness(0);
    liveness.tick(0);
    liveness.tick(1_000);
    expect(liveness.suspect(1_500)).toBe(true);
    expect(liveness.suspect(1_600), 'asked only once').toBe(false);
    expect(run(liveness, 2_000, 1_500 + PROOF_MS - 1).health).not.toBe('dead');
    expect(liveness.tick(1_500 + PROOF_MS).health).toBe('dead');
  });

  it('starts measuring anew when the clock is set back', () => {
    const liveness = new Liveness(1_000_000);
    liveness.tick(0);
    expect(run(liveness, TICK_MS, DEAD_AFTER_MS).health).toBe('dead');
  });
});
