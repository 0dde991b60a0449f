// The look of the terminal. It is dark in both colour schemes, and the whole terminal page with it: the
// programs inside choose their colours for a dark ground, and a page that is dark all over looks meant.

import type { ITheme } from '@xterm/xterm';

export const FONT_FAMILY =
  'ui-monospace, "SF Mono", Menlo, "Cascadia Mono", Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace';

export const THEME: ITheme = {
  background: '#10151a',
  foreground: '#d9e0e6',
  cursor: '#5fd0c0',
  cursorAccent: '#10151a',
  selectionBackground: '#35506a',
  selectionInactiveBackground: '#2a3b4c',
  black: '#1f272e',
  red: '#ef7d77',
  green: '#86c98a',
  yellow: '#e0bd6d',
  blue: '#79aef0',
  magenta: '#c79ae6',
  cyan: '#62c6c4',
  white: '#c6ced5',
  brightBlack: '#76838e',
  brightRed: '#ff9c96',
  brightGreen: '#a5e0a8',
  brightYellow: '#f3d48a',
  brightBlue: '#9cc6ff',
  brightMagenta: '#dcb6f5',
  brightCyan: '#86e0dc',
  brightWhite: '#f4f7f9',
};

/** The colours of predicted text: the same. */
export const OVERLAY_COLORS = { ground: '#10151a', text: '#d9e0e6', cursor: '#5fd0c0' };
