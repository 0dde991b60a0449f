// Draws guesses over the terminal, in elements of its own: xterm.js and its buffer know nothing of them. What is
// drawn looks exactly like what the echo will look like, so that a guess coming true is not to be seen.

import type { Guess, Position } from './glass';

export interface Metrics {
  columns: number;
  rows: number;
  fontFamily: string;
  fontSize: number;
}

export interface Colors {
  ground: string;
  text: string;
  cursor: string;
}

export class Overlay {
  readonly #layer = document.createElement('div');
  #drawn = '';

  /** `host` is the element that the cells fill exactly. */
  constructor(
    readonly host: HTMLElement,
    readonly colors: Colors,
  ) {
    this.#layer.setAttribute('aria-hidden', 'true');
    this.#layer.dataset['testid'] = 'predictions';
    Object.assign(this.#layer.style, {
      position: 'absolute',
      inset: '0',
      zIndex: '6',
      pointerEvents: 'none',
      whiteSpace: 'pre',
    });
    host.append(this.#layer);
  }

  draw(guesses: readonly Guess[], cursor: Position | null, metrics: Metrics): void {
    const key = JSON.stringify([guesses, cursor, metrics]);
    if (key === this.#drawn) return;
    this.#drawn = key;
    // The terminal's own cursor is where the box has it; while guesses are shown, theirs is the only one.
    this.host.toggleAttribute('data-predicting', cursor !== null);
    this.#layer.style.fontFamily = metrics.fontFamily;
    this.#layer.style.fontSize = `${metrics.fontSize}px`;
    const cells = guesses.map((guess) => this.#cell(guess, guess.text, guess.width, metrics, false));
    if (cursor) cells.push(this.#cell(cursor, ' ', 1, metrics, true));
    this.#layer.replaceChildren(...cells);
  }

  remove(): void {
    this.#layer.remove();
  }

  #cell(at: Position, text: string, width: number, metrics: Metrics, isCursor: boolean): HTMLElement {
    const cellWidth = this.host.clientWidth / metrics.columns;
    const cellHeight = this.host.clientHeight / metrics.rows;
    const span = document.createElement('span');
    span.textContent = text;
    Object.assign(span.style, {
      position: 'absolute',
      left: `${at.column * cellWidth}px`,
      top: `${at.row * cellHeight}px`,
      width: `${width * cellWidth}px`,
      height: `${cellHeight}px`,
      lineHeight: `${cellHeight}px`,
      overflow: 'hidden',
      background: isCursor ? this.colors.cursor : this.colors.ground,
      color: this.colors.text,
    });
    return span;
  }
}
