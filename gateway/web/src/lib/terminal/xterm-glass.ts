// The predictor's view of xterm.js: the active buffer's visible rows, and whether the cursor is shown.

import type { Terminal } from '@xterm/xterm';

import type { Glass, Position } from './predict/glass';

const CURSOR_MODE = 25;

export class XtermGlass implements Glass {
  cursorShown = true;
  readonly #terminal: Terminal;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    // xterm.js does not tell whether the cursor is hidden, so the sequences that do it are listened to.
    for (const [final, shown] of [
      ['h', true],
      ['l', false],
    ] as const) {
      terminal.parser.registerCsiHandler({ prefix: '?', final }, (params) => {
        if (params.includes(CURSOR_MODE)) this.cursorShown = shown;
        return false;
      });
    }
    terminal.parser.registerEscHandler({ final: 'c' }, () => {
      this.cursorShown = true;
      return false;
    });
  }

  get columns(): number {
    return this.#terminal.cols;
  }

  get cursor(): Position {
    const { cursorX, cursorY } = this.#terminal.buffer.active;
    return { row: cursorY, column: cursorX };
  }

  cell = (row: number, column: number): string => {
    const { active } = this.#terminal.buffer;
    return (
      active
        .getLine(active.viewportY + row)
        ?.getCell(column)
        ?.getChars() ?? ''
    );
  };
}
