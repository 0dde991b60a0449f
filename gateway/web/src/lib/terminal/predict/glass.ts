// What the predictor needs to know of the terminal's screen, and the little that can be said from it.

export interface Position {
  row: number;
  column: number;
}

/** What to draw over one cell, or two. Blank text erases. */
export interface Guess extends Position {
  text: string;
  width: number;
  /** The column in which the cursor stands afterwards. */
  after: number;
}

/** The screen as it is drawn, without predictions. */
export interface Glass {
  readonly columns: number;
  readonly cursor: Position;
  /** False while the program hides the cursor: then nobody knows where typing would appear. */
  readonly cursorShown: boolean;
  /** The character of a cell; empty for the second half of a wide one and for a cell never written. */
  cell: (row: number, column: number) => string;
}

const BORDERS = '│┃║|';
const SECRET =
  /(?:pass(?:word|phrase|code|wd)|\bpin|secret|token|verification code|\botp)\b[^a-z]*(?:for [^:]*)?:?\s*$/i;

export function isBlank(text: string): boolean {
  return text === '' || text === ' ';
}

/** How many blank cells follow, if there is nothing else up to the screen's edge or a pane's border; else 0. */
export function roomAt(glass: Glass, { row, column }: Position): number {
  let end = column;
  while (end < glass.columns && isBlank(glass.cell(row, end))) end += 1;
  const free = end === glass.columns || BORDERS.includes(glass.cell(row, end));
  return free ? end - column : 0;
}

/** Whether the words before the cursor ask for something that nobody should see. */
export function asksForSecret(glass: Glass, { row, column }: Position): boolean {
  let before = '';
  for (let at = Math.max(0, column - 60); at < column; at += 1) before += glass.cell(row, at) || ' ';
  return SECRET.test(before);
}
