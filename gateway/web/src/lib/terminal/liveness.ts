// Judges from silence whether a connection still lives. Pure: it is told the time. A page that was asleep
// (a phone in a pocket, a hidden tab) hears nothing and also runs no timer; that silence proves nothing, so
// after waking the connection gets a short time to prove itself instead.

export const PING_EVERY_MS = 10_000;
/** One ping unanswered, with room for a slow round trip. */
export const STALLED_AFTER_MS = 13_000;
export const DEAD_AFTER_MS = 25_000;
/** How often the connection looks at the clock. */
export const TICK_MS = 1_000;
/** How long a connection that is suspected after a sleep has to answer. */
export const PROOF_MS = 5_000;

export type Health = 'well' | 'stalled' | 'dead';

export class Liveness {
  #heardAt: number;
  #tickedAt: number;
  #proofBy: number | null = null;
  /** The browser said that there is no network; whatever is heard proves it wrong. */
  #cut = false;

  constructor(now: number) {
    this.#heardAt = now;
    this.#tickedAt = now;
  }

  heard(now: number): void {
    this.#heardAt = now;
    this.#proofBy = null;
    this.#cut = false;
  }

  /** To be asked every second. `asked` says that the caller should ping now, for proof of life. */
  tick(now: number): { health: Health; ping: boolean } {
    // The clock was set back: start measuring anew rather than wait for it to catch up.
    if (now < this.#tickedAt) this.heard(now);
    const slept = now - this.#tickedAt > 5 * TICK_MS;
    this.#tickedAt = now;
    if (slept) return { health: this.#health(now, true), ping: this.suspect(now) };
    return { health: this.#health(now, false), ping: false };
  }

  /** The page woke or the network changed. True if a ping should go out now. */
  suspect(now: number): boolean {
    if (this.#proofBy !== null) return false;
    this.#proofBy = now + PROOF_MS;
    return true;
  }

  /** The browser has lost its network: nothing is well until something is heard. True if a ping should go out. */
  cut(now: number): boolean {
    this.#cut = true;
    return this.suspect(now);
  }

  #health(now: number, justWoke: boolean): Health {
    const silence = now - this.#heardAt;
    if (this.#proofBy !== null) {
      if (now >= this.#proofBy && !justWoke) return 'dead';
    } else if (silence >= DEAD_AFTER_MS && !justWoke) {
      return 'dead';
    }
    return this.#cut || silence >= STALLED_AFTER_MS ? 'stalled' : 'well';
  }
}
