// How long to wait before trying again: doubling from half a second to ten, with jitter, so that a thousand
// pages that lost the same gateway do not come back in the same instant.

export const BACKOFF_FIRST_MS = 500;
export const BACKOFF_LIMIT_MS = 10_000;
/** The part of each delay that is left to chance. */
const JITTER = 0.5;

export class Backoff {
  #attempt = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** The next delay: between half of the step and the whole of it. */
  next(): number {
    const step = Math.min(BACKOFF_LIMIT_MS, BACKOFF_FIRST_MS * 2 ** this.#attempt);
    if (step < BACKOFF_LIMIT_MS) this.#attempt += 1;
    return Math.round(step * (1 - JITTER * this.#random()));
  }

  /** To be called once things have proved to work again. */
  reset(): void {
    this.#attempt = 0;
  }
}
