// Turns parsed JSON into the types of `types.ts`, or throws. Everything else in the UI may then trust its
// data. Unknown fields and unknown states pass: a newer gateway must not break an older page.

import { NO_INBOX, decodeAttention, decodeInbox } from './inbox';
import type {
  Box,
  CreatedShare,
  LiveEvent,
  Me,
  OpenedShare,
  Port,
  Preview,
  Session,
  Share,
  Telemetry,
  Ticket,
  Uploaded,
  Workspace,
  WorkspacePreviews,
} from './types';

export class DecodeError extends Error {
  override name = 'DecodeError';
}

export type Fields = Record<string, unknown>;

export function fields(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DecodeError(`${what} is not an object`);
  }
  return value as Fields;
}

export function text(from: Fields, key: string): string {
  const value = from[key];
  if (typeof value !== 'string') throw new DecodeError(`${key} is not a string`);
  return value;
}

export function count(from: Fields, key: string): number {
  const value = from[key];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new DecodeError(`${key} is not a number`);
  return value;
}

export function textOrNull(from: Fields, key: string): string | null {
  return from[key] === null || from[key] === undefined ? null : text(from, key);
}

export function countOrNull(from: Fields, key: string): number | null {
  return from[key] === null || from[key] === undefined ? null : count(from, key);
}

export function flag(from: Fields, key: string): boolean {
  const value = from[key];
  if (typeof value !== 'boolean') throw new DecodeError(`${key} is not true or false`);
  return value;
}

export function list<T>(from: Fields, key: string, item: (value: unknown) => T): T[] {
  const value = from[key];
  if (!Array.isArray(value)) throw new DecodeError(`${key} is not a list`);
  return value.map((entry: unknown) => item(entry));
}

/** What may be absent or null. */
export function optional<T>(value: unknown, item: (value: unknown) => T): T | null {
  return value === null || value === undefined ? null : item(value);
}

/** A list that is left out when it is empty. */
export function some<T>(from: Fields, key: string, item: (value: unknown) => T): T[] {
  return from[key] === undefined ? [] : list(from, key, item);
}

export function plainText(value: unknown): string {
  if (typeof value !== 'string') throw new DecodeError('it is not a string');
  return value;
}

/** An answer that is a list itself. */
export function decodeList<T>(value: unknown, item: (value: unknown) => T): T[] {
  return list({ answer: value }, 'answer', item);
}

function telemetry(value: unknown): Telemetry | null {
  if (value === null || value === undefined) return null;
  const from = fields(value, 'telemetry');
  return {
    cpu_percent: count(from, 'cpu_percent'),
    memory_used_bytes: count(from, 'memory_used_bytes'),
    memory_total_bytes: count(from, 'memory_total_bytes'),
    disk_used_bytes: count(from, 'disk_used_bytes'),
    disk_total_bytes: count(from, 'disk_total_bytes'),
  };
}

function box(value: unknown): Box {
  const from = fields(value, 'box');
  return {
    state: text(from, 'state'),
    route: textOrNull(from, 'route'),
    agent_version: textOrNull(from, 'agent_version'),
    telemetry: telemetry(from['telemetry']),
  };
}

export function decodeWorkspace(value: unknown): Workspace {
  const from = fields(value, 'workspace');
  return {
    id: text(from, 'id'),
    name: text(from, 'name'),
    // In an older gateway everybody owns what they see.
    role: textOrNull(from, 'role') ?? 'owner',
    change_seq: count(from, 'change_seq'),
    box: box(from['box']),
  };
}

export function decodeSession(value: unknown): Session {
  const from = fields(value, 'session');
  return {
    id: text(from, 'id'),
    workspace_id: text(from, 'workspace_id'),
    name: text(from, 'name'),
    template: text(from, 'template'),
    state: text(from, 'state'),
    message: textOrNull(from, 'message'),
    attachments: count(from, 'attachments'),
    attention: decodeAttention(from['attention']),
    created_at_ms: count(from, 'created_at_ms'),
    change_seq: count(from, 'change_seq'),
  };
}

export function decodeMe(value: unknown): Me {
  const from = fields(value, 'me');
  const user = fields(from['user'], 'user');
  return {
    user: { id: text(user, 'id'), name: text(user, 'name') },
    installation_owner: flag(from, 'installation_owner'),
    installation: text(from, 'installation'),
    version: text(from, 'version'),
  };
}

export function decodeTicket(value: unknown): Ticket {
  const from = fields(value, 'ticket');
  return {
    ticket: text(from, 'ticket'),
    expires_in_seconds: count(from, 'expires_in_seconds'),
    role: text(from, 'role'),
  };
}

export function decodeShare(value: unknown): Share {
  const from = fields(value, 'share');
  return {
    id: text(from, 'id'),
    name: text(from, 'name'),
    created_at_ms: count(from, 'created_at_ms'),
    opened_at_ms: from['opened_at_ms'] === null ? null : count(from, 'opened_at_ms'),
    expires_at_ms: count(from, 'expires_at_ms'),
  };
}

export function decodeShares(value: unknown): Share[] {
  return list(fields(value, 'shares'), 'shares', decodeShare);
}

export function decodeCreatedShare(value: unknown): CreatedShare {
  const from = fields(value, 'created share');
  return { share: decodeShare(from['share']), url: text(from, 'url') };
}

export function decodeOpenedShare(value: unknown): OpenedShare {
  const from = fields(value, 'opened share');
  return { session_id: text(from, 'session_id'), expires_at_ms: count(from, 'expires_at_ms') };
}

export function decodeUploaded(value: unknown): Uploaded {
  const from = fields(value, 'file');
  return { path: text(from, 'path'), name: text(from, 'name'), bytes: count(from, 'bytes') };
}

export function decodePreview(value: unknown): Preview {
  const from = fields(value, 'preview');
  return {
    id: text(from, 'id'),
    workspace_id: text(from, 'workspace_id'),
    port: count(from, 'port'),
    visibility: text(from, 'visibility'),
    link_until_ms: countOrNull(from, 'link_until_ms'),
    mode: text(from, 'mode'),
    url: textOrNull(from, 'url'),
    created_at_ms: count(from, 'created_at_ms'),
  };
}

function port(value: unknown): Port {
  const from = fields(value, 'port');
  return { port: count(from, 'port'), process: textOrNull(from, 'process'), kind: textOrNull(from, 'kind') };
}

function previews(value: unknown): WorkspacePreviews {
  const from = fields(value, 'previews');
  return {
    workspace_id: text(from, 'workspace_id'),
    previews: list(from, 'previews', decodePreview),
    ports: list(from, 'ports', port),
  };
}

/** Decodes one event of the stream; null for a kind this UI does not know. */
export function decodeEvent(name: string, data: string): LiveEvent | null {
  if (!['snapshot', 'workspace', 'session', 'session_deleted', 'previews', 'inbox'].includes(name))
    return null;

  const value: unknown = JSON.parse(data);
  switch (name) {
    case 'snapshot': {
      const from = fields(value, 'snapshot');
      return {
        type: 'snapshot',
        workspaces: list(from, 'workspaces', decodeWorkspace),
        sessions: list(from, 'sessions', decodeSession),
        // An older gateway has none.
        previews: from['previews'] === undefined ? [] : list(from, 'previews', previews),
        inbox: from['inbox'] === undefined ? NO_INBOX : decodeInbox(from['inbox']),
      };
    }
    case 'workspace':
      return { type: 'workspace', workspace: decodeWorkspace(value) };
    case 'session':
      return { type: 'session', session: decodeSession(value) };
    case 'previews':
      return { type: 'previews', previews: previews(value) };
    case 'inbox':
      return { type: 'inbox', inbox: decodeInbox(value) };
    default:
      return { type: 'session_deleted', id: text(fields(value, 'session_deleted'), 'id') };
  }
}
