// Joins the predictor with what it needs from the outside: the clock, a timer, and a place to draw.

import type { Glass, Guess, Position } from './glass';
import { Predictor } from './predictor';

export class LocalEcho {
  readonly #predictor: Predictor;
  readonly #draw: (guesses: readonly Guess[], cursor: Position | null) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(glass: Glass, draw: (guesses: readonly Guess[], cursor: Position | null) => void) {
    this.#predictor = new Predictor(glass, () => performance.now());
    this.#draw = draw;
  }

  set enabled(enabled: boolean) {
    this.#predictor.enabled = enabled;
    if (!enabled) this.reset();
  }

  roundTrip(ms: number | null): void {
    this.#predictor.roundTrip(ms);
    this.#settle();
  }

  typed(data: string, upTo: number): void {
    this.#predictor.typed(data, upTo);
    this.#settle();
  }

  echoed(upTo: number): void {
    this.#predictor.echoed(upTo);
    this.#settle();
  }

  /** The terminal's screen has changed. */
  drawn(): void {
    this.#predictor.judge();
    this.#settle();
  }

  reset(): void {
    this.#predictor.reset();
    this.#settle();
  }

  /** Shows what there is to show, and comes back when a guess has waited long enough. */
  #settle(): void {
    const { guesses, cursor } = this.#predictor.shown;
    this.#draw(guesses, cursor);
    clearTimeout(this.#timer);
    const due = this.#predictor.deadline;
    if (due !== null) this.#timer = setTimeout(() => this.drawn(), Math.max(0, due - performance.now()) + 1);
  }
}
