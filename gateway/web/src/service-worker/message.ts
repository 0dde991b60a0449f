// What the gateway sends, and what is shown of it. Pure, and without any of the page's code: a worker that outlives the
// page it came with must not depend on it.

export interface Message {
  what: 'show' | 'withdraw' | 'test';
  tag: string;
  replaces_all: boolean;
  title: string;
  body: string;
  /** Where it leads, from the console's root. */
  path: string;
  actions: { choice: string; label: string }[];
  notification: string | null;
  urgent: boolean;
  /** Good for one receipt of each kind. */
  receipt: string;
}

/** What a shown notification carries with it. */
export interface Carried {
  path: string;
  notification: string | null;
  receipt: string;
}

/** Prefix of an action that answers; the rest is the choice. */
const ANSWER = 'answer:';

const text = (value: unknown, otherwise = ''): string => (typeof value === 'string' ? value : otherwise);

function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** Reads a message. Something is always shown: browsers take the right away from those that show nothing. */
export function readMessage(value: unknown): Message {
  const from = fields(value);
  const what = from['what'];
  const actions = Array.isArray(from['actions']) ? (from['actions'] as unknown[]) : [];
  return {
    what: what === 'withdraw' || what === 'test' ? what : 'show',
    tag: text(from['tag'], 'berth'),
    replaces_all: from['replaces_all'] === true,
    title: text(from['title'], 'Berth'),
    body: text(from['body']),
    path: safePath(text(from['path'], '/inbox')),
    actions: actions.map((action) => {
      const one = fields(action);
      return { choice: text(one['choice']), label: text(one['label']) };
    }),
    notification: typeof from['notification'] === 'string' ? from['notification'] : null,
    urgent: from['urgent'] === true,
    receipt: text(from['receipt']),
  };
}

/** A path of this console, whatever was sent. */
export function safePath(path: string): string {
  return /^\/(?![/\\])/.test(path) ? path : '/inbox';
}

export function carriedBy(message: Message): Carried {
  return { path: message.path, notification: message.notification, receipt: message.receipt };
}

export function readCarried(value: unknown): Carried {
  const from = fields(value);
  return {
    path: safePath(text(from['path'], '/inbox')),
    notification: typeof from['notification'] === 'string' ? from['notification'] : null,
    receipt: text(from['receipt']),
  };
}

/** The buttons below a message. */
export function actionsOf(message: Message): { action: string; title: string }[] {
  if (message.notification === null) return [];
  const answerable = message.actions.filter(({ choice }) => choice !== '');
  return answerable.map(({ choice, label }) => ({ action: ANSWER + choice, title: label || choice }));
}

/** The choice that a pressed button stands for; null for a press on the message itself. */
export function choiceOf(action: string): string | null {
  return action.startsWith(ANSWER) ? action.slice(ANSWER.length) : null;
}
