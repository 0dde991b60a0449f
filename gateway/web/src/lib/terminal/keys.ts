// What keys become on the wire: the bar of extra keys that phones lack, the sticky Ctrl key, and the
// question whether something was typed by a person at all.

export type ExtraKey = 'escape' | 'tab' | 'up' | 'down' | 'left' | 'right';

const ARROWS = { up: 'A', down: 'B', right: 'C', left: 'D' } as const;

/** Keys of the bar that wait for the next one. */
export interface Sticky {
  ctrl: boolean;
  alt: boolean;
}

export interface KeyModes extends Sticky {
  /** The program on the box asked for application cursor keys. */
  applicationCursor: boolean;
}

/** The bytes that a terminal sends for a key of the bar. */
export function sequenceOf(key: ExtraKey, modes: KeyModes): string {
  if (key === 'escape') return '\x1b';
  if (key === 'tab') return modes.alt ? '\x1b\t' : '\t';
  const final = ARROWS[key];
  if (modes.ctrl || modes.alt) return `\x1b[1;${1 + (modes.alt ? 2 : 0) + (modes.ctrl ? 4 : 0)}${final}`;
  return modes.applicationCursor ? `\x1bO${final}` : `\x1b[${final}`;
}

/** The control character of a single typed character; anything else stays as it is. */
export function withCtrl(data: string): string {
  if (data.length !== 1) return data;
  if (data === ' ') return '\0';
  if (data === '?') return '\x7f';
  const code = data.toUpperCase().charCodeAt(0);
  return code >= 0x40 && code <= 0x5f ? String.fromCharCode(code & 0x1f) : data;
}

/** What sticky Alt makes of a single typed character. */
export function withAlt(data: string): string {
  return data.length === 1 ? `\x1b${data}` : data;
}

/**
 * Whether data from xterm.js was typed, rather than the terminal's own answer or report (focus, mouse,
 * device attributes, cursor position). Only what was typed deserves the hint that it went nowhere.
 */
export function isTyped(data: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  return !/^(?:\x1b\[(?:[IO]$|<|M|[?>]|\d+(?:;\d+)*[Rnct]$)|\x1b[P\]].)/.test(data);
}

/** What a key does to the page: leave the terminal, copy, or change the size of the text by so many pixels. */
export type PageKey = 'leave' | 'copy' | 'default' | 1 | -1;

type Pressed = Pick<KeyboardEvent, 'key' | 'code' | 'ctrlKey' | 'metaKey' | 'shiftKey' | 'altKey'>;

/** What a key means to the page, or null when it is the box's. */
export function pageKey(event: Pressed, selected: boolean): PageKey | null {
  if (event.key === 'F6' && event.shiftKey) return 'leave';
  if (event.altKey || !(event.ctrlKey || event.metaKey)) return null;
  if (event.shiftKey && event.code === 'KeyC') return selected ? 'copy' : null;
  if (event.key === '+' || event.key === '=') return 1;
  // With Shift it is Ctrl-_, which shells take for undo.
  if (event.key === '-') return -1;
  return event.key === '0' ? 'default' : null;
}
