// Notifications and what sessions are doing, on the wire. Words are open sets, and texts come from programs on a box:
// they are shown as text.

import { type Fields, count, countOrNull, fields, flag, list, text, textOrNull } from './decode';

export interface Belief {
  /** `working`, `waiting_for_input`, `waiting_for_approval`, `done`, `failed`, `idle`, `gone` or `unknown`. */
  activity: string;
  /** Where that comes from, such as `hook` or `bell`. */
  evidence: string;
  /** 0 to 100. */
  confidence: number;
  /** By the box's clock. */
  since_ms: number;
}

export interface Pane {
  id: number;
  window: number;
  index: number;
}

/** What a session is doing, and its panes. */
export interface Attention extends Belief {
  panes: (Belief & { pane: Pane })[];
}

export interface Choice {
  id: string;
  label: string;
}

export interface Notification {
  id: string;
  seq: number;
  workspace_id: string;
  session_id: string | null;
  /** `waiting_for_input`, `waiting_for_approval`, `done`, `failed`, `message` or `berth`. */
  reason: string;
  /** `info`, `warning` or `urgent`. */
  severity: string;
  evidence: string;
  confidence: number;
  text: string;
  question: { choices: Choice[]; free_text: boolean } | null;
  created_at_ms: number;
  seen_at_ms: number | null;
  ended_at_ms: number | null;
  /** `answered`, `seen`, `went_on`, `superseded` or `gone`. */
  ended_because: string | null;
  change_seq: number;
}

export interface Mute {
  session_id: string;
  /** For good when there is none. */
  until_ms: number | null;
}

/** Some of an inbox, and its numbers at the same moment. */
export interface Inbox {
  unread: number;
  seq: number;
  notifications: Notification[];
  mutes: Mute[];
}

export interface InboxPage extends Inbox {
  next: number | null;
}

function belief(from: Fields): Belief {
  return {
    activity: text(from, 'activity'),
    evidence: text(from, 'evidence'),
    confidence: count(from, 'confidence'),
    since_ms: count(from, 'since_ms'),
  };
}

export function decodeAttention(value: unknown): Attention | null {
  if (value === null || value === undefined) return null;
  const from = fields(value, 'attention');
  return {
    ...belief(from),
    panes: list(from, 'panes', (entry) => {
      const of = fields(entry, 'pane');
      const pane = fields(of['pane'], 'pane');
      return {
        ...belief(of),
        pane: { id: count(pane, 'id'), window: count(pane, 'window'), index: count(pane, 'index') },
      };
    }),
  };
}

function question(value: unknown): Notification['question'] {
  if (value === null || value === undefined) return null;
  const from = fields(value, 'question');
  return {
    choices: list(from, 'choices', (entry) => {
      const choice = fields(entry, 'choice');
      return { id: text(choice, 'id'), label: text(choice, 'label') };
    }),
    free_text: flag(from, 'free_text'),
  };
}

function notification(value: unknown): Notification {
  const from = fields(value, 'notification');
  return {
    id: text(from, 'id'),
    seq: count(from, 'seq'),
    workspace_id: text(from, 'workspace_id'),
    session_id: textOrNull(from, 'session_id'),
    reason: text(from, 'reason'),
    severity: text(from, 'severity'),
    evidence: text(from, 'evidence'),
    confidence: count(from, 'confidence'),
    text: text(from, 'text'),
    question: question(from['question']),
    created_at_ms: count(from, 'created_at_ms'),
    seen_at_ms: countOrNull(from, 'seen_at_ms'),
    ended_at_ms: countOrNull(from, 'ended_at_ms'),
    ended_because: textOrNull(from, 'ended_because'),
    change_seq: count(from, 'change_seq'),
  };
}

export const NO_INBOX: Inbox = { unread: 0, seq: 0, notifications: [], mutes: [] };

export function decodeInbox(value: unknown): Inbox {
  const from = fields(value, 'inbox');
  return {
    unread: count(from, 'unread'),
    seq: count(from, 'seq'),
    notifications: list(from, 'notifications', notification),
    mutes: list(from, 'mutes', (entry) => {
      const mute = fields(entry, 'mute');
      return { session_id: text(mute, 'session_id'), until_ms: countOrNull(mute, 'until_ms') };
    }),
  };
}

export function decodeInboxPage(value: unknown): InboxPage {
  return { ...decodeInbox(value), next: countOrNull(fields(value, 'inbox'), 'next') };
}
