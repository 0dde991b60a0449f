// Guesses what the screen will show for what was just typed, so that it can be drawn before the box has
// answered: the idea of mosh's local echo. Pure: it is told what was typed, echoed and drawn, and the time.
//
// A guess is shown only once an earlier guess of the same epoch came true. An epoch ends with every key whose
// effect can't be known (Enter, an arrow, Tab, a paste) and with every wrong guess. So at a password prompt, and
// in programs that take keys for commands, nothing is ever shown: no guess comes true there. (That such a program
// runs can't be read off the screen: below tmux everything looks full-screen.)
//
//   typed ──▶ waiting ──echo told, cell as guessed──▶ true: the epoch is trusted, its guesses are shown
//                │  └───echo told, grace over───────▶ wrong: all guesses go, a new epoch begins
//                └──────nothing told────────────────▶ the same

import { type Glass, type Guess, type Position, asksForSecret, isBlank, roomAt } from './glass';
import { widthOf } from './width';

/** Predictions begin above this round trip, and end at or below the other: one value would flap. */
export const ON_ABOVE_MS = 30;
export const OFF_BELOW_MS = 20;
/** Output that passed after the keystroke need not be its echo yet: the program has this long to answer. */
export const GRACE_MS = 150;
/** Without any answer a guess is given up after this, and two round trips. */
export const GIVE_UP_MS = 700;

const BACKSPACE = '\x7f';

interface Waiting extends Guess {
  epoch: number;
  /** What the cell held when it was guessed. */
  was: string;
  /** INPUT bytes up to and with this key. */
  upTo: number;
  typedAt: number;
  toldAt: number | null;
}

export class Predictor {
  /** The user's switch. */
  enabled = true;
  #slow = false;
  #roundTripMs = 0;
  #waiting: Waiting[] = [];
  /** Widths of what was typed in a row in this epoch: what a backspace takes away. */
  #run: number[] = [];
  #epoch = 1;
  #trusted = 0;
  /** Nothing is guessed until the input up to here has been answered. */
  #blocked = 0;
  #told = 0;
  #sent = 0;

  constructor(
    readonly glass: Glass,
    readonly now: () => number,
  ) {}

  get active(): boolean {
    return this.enabled && this.#slow;
  }

  roundTrip(ms: number | null): void {
    this.#roundTripMs = ms ?? 0;
    this.#slow = this.#roundTripMs > (this.#slow ? OFF_BELOW_MS : ON_ABOVE_MS);
    if (!this.active) this.#fail();
  }

  /** Input went out; `upTo` counts the bytes of all input of this connection. */
  typed(data: string, upTo: number): void {
    this.#sent = upTo;
    if (!this.active) return;
    const width = widthOf(data);
    if (this.#blocked > this.#told || !this.glass.cursorShown) this.#interrupt();
    else if (data === BACKSPACE) this.#erase();
    else if (width === null) this.#interrupt();
    else this.#print(data, width);
  }

  /** Input up to `upTo` has reached the box before the newest of what is drawn. */
  echoed(upTo: number): void {
    this.#told = Math.max(this.#told, upTo);
    const now = this.now();
    for (const guess of this.#waiting) if (guess.upTo <= upTo) guess.toldAt ??= now;
    this.judge();
  }

  /** To be called when the screen was drawn, and at `deadline`. */
  judge(): void {
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      const verdict = this.#verdict(first);
      if (verdict === 'open') return;
      if (verdict === 'wrong') {
        this.#fail();
        return;
      }
      // A blank where it was blank before proves nothing.
      if (verdict === 'true' && !isBlank(first.text) && first.was !== first.text) this.#trusted = first.epoch;
      this.#waiting.shift();
    }
  }

  /** A new connection, or a new size: what was guessed means nothing any more. */
  reset(): void {
    this.#fail();
    this.#blocked = this.#told = this.#sent = 0;
  }

  /** When `judge` has to be called if nothing else happens. */
  get deadline(): number | null {
    const first = this.#waiting[0];
    return first ? this.#limit(first) : null;
  }

  /** What is to be drawn over the screen, the later over the earlier. */
  get shown(): { guesses: readonly Guess[]; cursor: Position | null } {
    const guesses = this.#waiting.filter(({ epoch }) => epoch <= this.#trusted);
    return { guesses, cursor: guesses.length > 0 ? cursorAfter(guesses.at(-1)) : null };
  }

  #print(text: string, width: 1 | 2): void {
    const at = this.#cursor();
    // The last column is left alone: programs differ in when they wrap.
    if (roomAt(this.glass, at) <= width || asksForSecret(this.glass, at)) {
      this.#interrupt();
      return;
    }
    this.#guess(at, text, width, at.column + width);
    this.#run.push(width);
  }

  #erase(): void {
    const width = this.#run.pop();
    const { row, column } = this.#cursor();
    if (width === undefined || column < width) this.#interrupt();
    else this.#guess({ row, column: column - width }, ' '.repeat(width), width, column - width);
  }

  #guess({ row, column }: Position, text: string, width: number, after: number): void {
    this.#waiting.push({
      ...{ row, column, text, width, after },
      epoch: this.#epoch,
      was: this.glass.cell(row, column),
      upTo: this.#sent,
      typedAt: this.now(),
      toldAt: null,
    });
  }

  #cursor(): Position {
    return cursorAfter(this.#waiting.at(-1)) ?? this.glass.cursor;
  }

  #verdict(guess: Waiting): 'true' | 'wrong' | 'open' | 'moot' {
    const late = this.now() >= this.#limit(guess);
    if (guess.toldAt === null) return late ? 'wrong' : 'open';
    const overtaken = this.#waiting.some(
      (other) =>
        other !== guess && other.toldAt !== null && other.row === guess.row && other.column === guess.column,
    );
    // The line was ended, and may have scrolled: what it shows is no matter of guesses any more.
    if (overtaken || this.glass.cursor.row !== guess.row) return 'moot';
    const cell = this.glass.cell(guess.row, guess.column);
    const matches = guess.text.trim() === '' ? isBlank(cell) : cell === guess.text;
    if (matches) return 'true';
    return late ? 'wrong' : 'open';
  }

  #limit(guess: Waiting): number {
    return guess.toldAt === null
      ? guess.typedAt + GIVE_UP_MS + 2 * this.#roundTripMs
      : guess.toldAt + GRACE_MS;
  }

  /** A key whose effect isn't known: what was guessed stays until it is judged, and no more is guessed for now. */
  #interrupt(): void {
    this.#epoch += 1;
    this.#run = [];
    this.#blocked = this.#sent;
  }

  #fail(): void {
    this.#waiting = [];
    this.#interrupt();
  }
}

function cursorAfter(guess: Guess | undefined): Position | null {
  return guess ? { row: guess.row, column: guess.after } : null;
}
