// The delays between attempts: their growth, their bounds and their jitter.
import { describe, expect, it } from 'vitest';

import { BACKOFF_FIRST_MS, BACKOFF_LIMIT_MS, Backoff } from './backoff';

const take = (backoff: Backoff, count: number) => Array.from({ length: count }, () => backoff.next());

describe('Backoff', () => {
  it('doubles from half a second to ten and stays there', () => {
    expect(take(new Backoff(() => 0), 8)).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  });

  it('takes at most half of a step away', () => {
    expect(take(new Backoff(() => 1), 7)).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000]);
  });

  it('stays within its bounds and really varies', () => {
    const delays = Array.from({ length: 200 }, () => take(new Backoff(), 6)[5] ?? NaN);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(BACKOFF_LIMIT_MS / 2);
    expect(Math.max(...delays)).toBeLessThanOrEqual(BACKOFF_LIMIT_MS);
    expect(new Set(delays).size).toBeGreaterThan(50);
  });

  it('spreads a thousand pages that wait for the same gateway', () => {
    const bySecond: number[] = [];
    for (let page = 0; page < 1000; page += 1) {
      const backoff = new Backoff();
      for (let at = backoff.next(); at < 90_000; at += backoff.next()) {
        const second = Math.floor(at / 1000);
        bySecond[second] = (bySecond[second] ?? 0) + 1;
      }
    }
    // Not before the delays have grown: who lost a network for a moment comes back soon.
    const later = bySecond.slice(30);
    expect(later).toHaveLength(60);
    expect(Math.max(...later)).toBeLessThanOrEqual(200);
  });

  it('starts over after a reset', () => {
    const backoff = new Backoff(() => 0);
    take(backoff, 5);
    backoff.reset();
    expect(backoff.next()).toBe(BACKOFF_FIRST_MS);
  });
});
