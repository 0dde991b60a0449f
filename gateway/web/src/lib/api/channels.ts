// Channels and settings of notifications, on the wire. Secrets go in and never come back.

import { count, countOrNull, fields, flag, list, text, textOrNull } from './decode';

export interface Channel {
  id: string;
  /** `web_push`, `ntfy` or `webhook`. */
  kind: string;
  name: string;
  host: string;
  escalation: boolean;
  includes_text: boolean;
  /** `active`, `off` or `gone`. */
  state: string;
  created_at_ms: number;
  accepted_at_ms: number | null;
  shown_at_ms: number | null;
  failed_at_ms: number | null;
  failure: string | null;
  failures: number;
  last: Delivery | null;
}

export interface Delivery {
  /** `show`, `withdraw` or `test`. */
  what: string;
  /** `queued`, `accepted`, `shown`, `acted`, `failed` or `dropped`. */
  state: string;
  queued_at_ms: number;
  failure: string | null;
}

export interface Channels {
  channels: Channel[];
  push_public_key: string;
}

export type NewTarget =
  | { kind: 'web_push'; endpoint: string; p256dh: string; auth: string }
  | { kind: 'ntfy'; url: string; token: string | null }
  | { kind: 'webhook'; url: string; secret: string };

export interface NewChannel {
  name: string;
  target: NewTarget;
  escalation: boolean;
  includes_text: boolean;
}

export interface Quiet {
  time_zone: string;
  from_minute: number;
  to_minute: number;
  urgent_breaks_through: boolean;
}

export interface Preferences {
  quiet: Quiet | null;
  escalate_after_secs: number | null;
}

export function decodeChannel(value: unknown): Channel {
  const from = fields(value, 'channel');
  return {
    id: text(from, 'id'),
    kind: text(from, 'kind'),
    name: text(from, 'name'),
    host: text(from, 'host'),
    escalation: flag(from, 'escalation'),
    includes_text: flag(from, 'includes_text'),
    state: text(from, 'state'),
    created_at_ms: count(from, 'created_at_ms'),
    accepted_at_ms: countOrNull(from, 'accepted_at_ms'),
    shown_at_ms: countOrNull(from, 'shown_at_ms'),
    failed_at_ms: countOrNull(from, 'failed_at_ms'),
    failure: textOrNull(from, 'failure'),
    failures: count(from, 'failures'),
    last: delivery(from['last']),
  };
}

function delivery(value: unknown): Delivery | null {
  if (value === null || value === undefined) return null;
  const from = fields(value, 'delivery');
  return {
    what: text(from, 'what'),
    state: text(from, 'state'),
    queued_at_ms: count(from, 'queued_at_ms'),
    failure: textOrNull(from, 'failure'),
  };
}

export function decodeChannels(value: unknown): Channels {
  const from = fields(value, 'channels');
  return { channels: list(from, 'channels', decodeChannel), push_public_key: text(from, 'push_public_key') };
}

export function decodePreferences(value: unknown): Preferences {
  const from = fields(value, 'preferences');
  const quiet = from['quiet'] === null || from['quiet'] === undefined ? null : fields(from['quiet'], 'quiet');
  return {
    quiet: quiet && {
      time_zone: text(quiet, 'time_zone'),
      from_minute: count(quiet, 'from_minute'),
      to_minute: count(quiet, 'to_minute'),
      urgent_breaks_through: flag(quiet, 'urgent_breaks_through'),
    },
    escalate_after_secs: countOrNull(from, 'escalate_after_secs'),
  };
}
