// What is guessed, what is shown of it, and what happens when a guess is wrong. A little terminal stands in for
// the box: it draws what a test says, whenever it says so.
import { beforeEach, describe, expect, it } from 'vitest';

import type { Glass, Position } from './glass';
import { GIVE_UP_MS, GRACE_MS, Predictor } from './predictor';
import { widthOf } from './width';

class FakeGlass implements Glass {
  columns = 20;
  cursor: Position = { row: 0, column: 0 };
  cursorShown = true;
  readonly #cells = new Map<string, string>();

  cell = (row: number, column: number) => this.#cells.get(`${row},${column}`) ?? '';

  /** Writes at the cursor, as a terminal does: wide characters take two cells, `\b` goes back, `\n` down. */
  write(text: string): void {
    for (const char of text) {
      const { row, column } = this.cursor;
      if (char === '\n') this.cursor = { row: row + 1, column: 0 };
      else if (char === '\b') this.cursor = { row, column: column - 1 };
      else {
        const width = widthOf(char) ?? 1;
        this.#cells.set(`${row},${column}`, char);
        if (width === 2) this.#cells.set(`${row},${column + 1}`, '');
        this.cursor = { row, column: column + width };
      }
    }
  }

  put(row: number, column: number, text: string): void {
    const { cursor } = this;
    this.cursor = { row, column };
    this.write(text);
    this.cursor = cursor;
  }
}

let glass: FakeGlass;
let now: number;
let sent: number;
let predictor: Predictor;

beforeEach(() => {
  [glass, now, sent] = [new FakeGlass(), 1000, 0];
  predictor = new Predictor(glass, () => now);
  predictor.roundTrip(100);
  glass.write('$ ');
});

function type(...keys: string[]): void {
  for (const key of keys) {
    sent += new TextEncoder().encode(key).length;
    predictor.typed(key, sent);
  }
}

/** The box draws `text` and the relay tells that all input so far came before. */
function answer(text: string, upTo = sent): void {
  glass.write(text);
  predictor.judge();
  predictor.echoed(upTo);
}

const shown = () => predictor.shown.guesses.map(({ text }) => text).join('');

describe('a line being typed', () => {
  it('is shown ahead from the second key on, once the first came true', () => {
    type('l');
    expect(shown()).toBe('');
    answer('l');
    type('s', ' ', '-');
    expect(predictor.shown.guesses.map(({ row, column }) => [row, column])).toEqual([
      [0, 3],
      [0, 4],
      [0, 5],
    ]);
    expect(shown()).toBe('s -');
    expect(predictor.shown.cursor).toEqual({ row: 0, column: 6 });
  });

  it('shows what was typed meanwhile as soon as the first key came true', () => {
    type('l', 's');
    answer('l', 1);
    expect(shown()).toBe('s');
  });

  it('shows nothing more once all of it was echoed', () => {
    type('l', 's');
    answer('ls');
    expect(predictor.shown).toEqual({ guesses: [], cursor: null });
    expect(predictor.deadline).toBeNull();
  });

  it('keeps the line on the screen when Enter follows, and lets it go with the line', () => {
    type('l');
    answer('l');
    type('s', '\r');
    expect(shown()).toBe('s');
    answer('s\n');
    expect(shown()).toBe('');
  });

  it('begins anew on the next line', () => {
    type('l');
    answer('l');
    type('\r', 'p');
    expect(shown()).toBe('');
    answer('\n$ ');
    answer('p');
    type('w');
    expect(shown()).toBe('');
    answer('w');
    type('d');
    expect(shown()).toBe('d');
  });
});

describe('a wrong guess', () => {
  it('goes at once with all that followed it, and nothing is shown until one is right again', () => {
    type('a');
    answer('a');
    type('b', 'c');
    answer('', 2);
    expect(shown()).toBe('bc');
    now += GRACE_MS;
    predictor.judge();
    expect(shown()).toBe('');
    type('d');
    expect(shown()).toBe('');
    answer('', sent);
    type('e');
    expect(shown()).toBe('');
    answer('e');
    type('f');
    expect(shown()).toBe('f');
  });

  it('is not one while the echo may still come', () => {
    type('a');
    answer('a');
    type('b');
    predictor.echoed(sent);
    now += GRACE_MS - 1;
    predictor.judge();
    expect(shown()).toBe('b');
    glass.write('b');
    predictor.judge();
    type('c');
    expect(shown()).toBe('c');
  });

  it('does not come true by what stood there before', () => {
    type(' ');
    answer(' ');
    type('x');
    expect(shown()).toBe('');
  });
});

describe('what is never shown', () => {
  it('a password, whose echo never comes', () => {
    type('a');
    answer('a');
    type('\r');
    answer('\nEnter it: ');
    now += 1000;
    for (const key of 'hunter2') {
      type(key);
      expect(shown()).toBe('');
      now += 200;
      if (predictor.deadline !== null && now >= predictor.deadline) predictor.judge();
    }
    now += GIVE_UP_MS + 200;
    predictor.judge();
    expect(predictor.deadline).toBeNull();
    expect(shown()).toBe('');
  });

  it.each(['Password: ', '[sudo] password for ana: ', 'PIN: '])(
    'what is typed behind %j, though the line before was trusted',
    (prompt) => {
      glass.columns = 60;
      type('y');
      answer('y');
      glass.put(1, 0, prompt);
      glass.cursor = { row: 1, column: prompt.length };
      type('h');
      expect(shown()).toBe('');
      expect(predictor.deadline).toBeNull();
    },
  );

  it('what a program without a cursor, or one that takes keys for commands, makes of a key', () => {
    glass.cursorShown = false;
    type('j');
    expect(predictor.deadline).toBeNull();
    glass.cursorShown = true;
    answer('');
    type('j');
    answer('');
    now += GRACE_MS;
    predictor.judge();
    type('k');
    expect(shown()).toBe('');
  });

  it.each(['echo', 'two\nlines', '\t', '\x1b[A', '\x03', '🚢', 'e\u0301'])('%j', (data) => {
    type('l');
    answer('l');
    type(data);
    type('x');
    expect(shown()).toBe('');
  });

  it('a key in the middle of a line', () => {
    type('l');
    answer('l');
    glass.put(0, 8, 'rest');
    type('x');
    expect(shown()).toBe('');
  });

  it('anything on a fast connection, or when switched off', () => {
    predictor.roundTrip(25);
    expect(predictor.active).toBe(true);
    predictor.roundTrip(20);
    expect(predictor.active).toBe(false);
    predictor.roundTrip(30);
    expect(predictor.active).toBe(false);
    predictor.roundTrip(31);
    expect(predictor.active).toBe(true);
    predictor.enabled = false;
    type('l');
    expect(predictor.deadline).toBeNull();
  });
});

describe('the edge', () => {
  it('of the screen is left to the program', () => {
    glass.write('x'.repeat(15));
    type('a');
    answer('a');
    type('b', 'c');
    expect(shown()).toBe('b');
  });

  it('of a pane is one too', () => {
    glass.put(0, 5, '│');
    type('a');
    answer('a');
    type('b', 'c');
    expect(shown()).toBe('b');
  });

  it('is kept by wide characters, which take two cells', () => {
    type('漢');
    answer('漢');
    type('字', 'a');
    expect(predictor.shown.guesses.map(({ column, width }) => [column, width])).toEqual([
      [4, 2],
      [6, 1],
    ]);
    expect(predictor.shown.cursor).toEqual({ row: 0, column: 7 });
    answer('字a');
    expect(shown()).toBe('');
  });
});

describe('backspace', () => {
  it('takes away what was typed, shown or not yet', () => {
    type('a', 'b');
    answer('ab');
    type('c', '\x7f', '\x7f');
    expect(predictor.shown.cursor).toEqual({ row: 0, column: 3 });
    expect(predictor.shown.guesses.map(({ column, text }) => [column, text])).toEqual([
      [4, 'c'],
      [4, ' '],
      [3, ' '],
    ]);
    answer('c\b \b\b \b');
    expect(predictor.shown).toEqual({ guesses: [], cursor: null });
    type('d');
    expect(shown()).toBe('d');
  });

  it('takes a wide character away whole', () => {
    type('a', '漢');
    answer('a漢');
    type('\x7f');
    expect(predictor.shown.cursor).toEqual({ row: 0, column: 3 });
  });

  it('is not guessed beyond what was typed', () => {
    type('a');
    answer('a');
    type('\x7f', '\x7f');
    expect(predictor.shown.cursor).toEqual({ row: 0, column: 2 });
  });
});

it('forgets everything with a new connection', () => {
  type('a');
  answer('a');
  type('b');
  predictor.reset();
  sent = 0;
  expect(shown()).toBe('');
  type('c');
  expect(shown()).toBe('');
  answer('c');
  type('d');
  expect(shown()).toBe('d');
});
