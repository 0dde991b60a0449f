// The page's terminal emulator without a glass, for tests in other languages: xterm.js, told what to do by lines
// of JSON on standard input.
//
//   {"size": [100, 30]}      begins anew with an empty terminal of so many columns and rows
//   {"write": "<base64>"}    draws bytes
//   {"cells": true}          answers with one line, once everything before it is drawn:
//
//   {"rows": [[{"text": "a", "ground": "default", "ink": "palette 1", "style": "bold"}, …], …],
//    "cursor": {"row": 0, "column": 1, "shown": true}}
//
// What can't be seen is left out: a blank has no ink and no weight, the second half of a wide character no text.

import { createInterface } from 'node:readline';

import unicode11 from '@xterm/addon-unicode11';
import headless from '@xterm/headless';

const CURSOR_MODE = 25;

/** Those that a blank has, too. */
const STYLES_OF_BLANKS = ['inverse', 'underline', 'strikethrough', 'overline'];

let terminal;
let cursorShown;

function begin([columns, rows]) {
  // As in the page, see `lib/terminal/screen.ts`.
  terminal = new headless.Terminal({ allowProposedApi: true, cols: columns, rows, scrollback: 0 });
  terminal.loadAddon(new unicode11.Unicode11Addon());
  terminal.unicode.activeVersion = '11';
  cursorShown = true;
  for (const [final, shown] of [
    ['h', true],
    ['l', false],
  ]) {
    terminal.parser.registerCsiHandler({ prefix: '?', final }, (params) => {
      if (params.includes(CURSOR_MODE)) cursorShown = shown;
      return false;
    });
  }
}

function write(base64) {
  return new Promise((drawn) => terminal.write(Buffer.from(base64, 'base64'), drawn));
}

function cells() {
  const { active } = terminal.buffer;
  const lines = Array.from({ length: terminal.rows }, (_, row) => active.getLine(active.viewportY + row));
  const columns = Array.from({ length: terminal.cols }, (_, column) => column);
  // Behind the last column the cursor waits to wrap: it is drawn in that column.
  const column = Math.min(active.cursorX, terminal.cols - 1);
  return {
    rows: lines.map((line) => columns.map((at) => look(line.getCell(at)))),
    cursor: { row: active.cursorY, column, shown: cursorShown },
  };
}

function look(cell) {
  const text = cell.getChars() || ' '.repeat(cell.getWidth());
  const styles = stylesOf(cell);
  const seen = text.trim() === '' ? styles.filter((style) => STYLES_OF_BLANKS.includes(style)) : styles;
  const ground = color(cell.isBgDefault(), cell.isBgRGB(), cell.getBgColor());
  const ink = color(cell.isFgDefault(), cell.isFgRGB(), cell.getFgColor());
  const inked = text.trim() !== '' || seen.length > 0;
  return { text, ground, ink: inked ? ink : 'none', style: seen.join(' ') };
}

function stylesOf(cell) {
  const has = {
    bold: cell.isBold(),
    dim: cell.isDim(),
    italic: cell.isItalic(),
    underline: cell.isUnderline(),
    blink: cell.isBlink(),
    inverse: cell.isInverse(),
    invisible: cell.isInvisible(),
    strikethrough: cell.isStrikethrough(),
    overline: cell.isOverline(),
  };
  return Object.keys(has).filter((style) => has[style]);
}

/** The first 16 colours have two names each, in one palette. */
function color(isDefault, isRgb, value) {
  if (isDefault) return 'default';
  return isRgb ? `#${value.toString(16).padStart(6, '0')}` : `palette ${value}`;
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  if (order.size) begin(order.size);
  if (order.write) await write(order.write);
  if (order.cells) process.stdout.write(`${JSON.stringify(cells())}\n`);
}
