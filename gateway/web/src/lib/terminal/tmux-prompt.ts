// Gives tmux a command through its own prompt. tmux opens the prompt a moment after the keys that ask for it, and
// takes whatever comes earlier for keys of the program below; so the command is sent only once the prompt is seen.

import type { Glass } from './predict/glass';

/** tmux answers at once, but the network may take its time. */
export const PROMPT_WAIT_MS = 3_000;

/** Whether the screen shows tmux's empty command prompt, which covers the status line, below or above. */
export function promptIsOpen(glass: Glass, rows: number): boolean {
  const { row, column } = glass.cursor;
  return (row === rows - 1 || row === 0) && column === 1 && glass.cell(row, 0) === ':';
}

export class TmuxPrompt {
  #waiting: { line: string; done: (sent: boolean) => void; timer: ReturnType<typeof setTimeout> } | null =
    null;

  constructor(
    readonly isOpen: () => boolean,
    readonly send: (keys: string) => void,
  ) {}

  /** Opens the prompt with these keys and gives it a line. False when no prompt came, or one is under way. */
  run(open: string, line: string): Promise<boolean> {
    if (this.#waiting) return Promise.resolve(false);
    return new Promise((done) => {
      const timer = setTimeout(() => this.#end(false), PROMPT_WAIT_MS);
      this.#waiting = { line, done, timer };
      this.send(open);
    });
  }

  /** To be called when the screen was drawn. */
  drawn(): void {
    if (!this.#waiting || !this.isOpen()) return;
    this.send(`${this.#waiting.line}\r`);
    this.#end(true);
  }

  #end(sent: boolean): void {
    if (!this.#waiting) return;
    clearTimeout(this.#waiting.timer);
    const { done } = this.#waiting;
    this.#waiting = null;
    done(sent);
  }
}
