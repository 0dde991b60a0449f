// tmux by buttons: the keys a user would press, sent like any others. They follow tmux's own defaults below its
// prefix key; whoever has changed the prefix in ~/.tmux.conf says so in the menu.

export const DEFAULT_PREFIX = 'b';

export const ACTIONS = {
  nextPane: { label: 'Next pane', key: 'o' },
  zoom: { label: 'Zoom pane', key: 'z' },
  splitRight: { label: 'Split right', key: '%' },
  splitBelow: { label: 'Split below', key: '"' },
  newWindow: { label: 'New window', key: 'c' },
  nextWindow: { label: 'Next window', key: 'n' },
} as const;

export type Action = keyof typeof ACTIONS;

/** A letter for Ctrl and that letter; null for anything that can't be a prefix. */
export function parsePrefix(text: string): string | null {
  const letter = text.trim().toLowerCase();
  return /^[a-z]$/.test(letter) ? letter : null;
}

export function keysFor(action: Action, prefix: string): string {
  return press(prefix) + ACTIONS[action].key;
}

/** The keys that open tmux's command prompt. */
export function promptKeys(prefix: string): string {
  return `${press(prefix)}:`;
}

/** The command that looks upwards for text, from what the terminal shows into its history. */
export function searchCommand(text: string): string {
  // eslint-disable-next-line no-control-regex -- a control character would end tmux's prompt
  const quoted = text.replace(/[\x00-\x1f\x7f]/g, '').replaceAll("'", String.raw`'\''`);
  return `copy-mode ; send-keys -X search-backward '${quoted}'`;
}

export function searchAgainCommand(direction: 'older' | 'newer'): string {
  return `send-keys -X search-${direction === 'older' ? 'again' : 'reverse'}`;
}

export const END_SEARCH_COMMAND = 'send-keys -X cancel';

function press(prefix: string): string {
  return String.fromCharCode(prefix.charCodeAt(0) & 0x1f);
}
