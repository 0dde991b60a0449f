// The audit record on the wire. What people or boxes have said is in `detail`, and is shown as text alone.

import { count, countOrNull, fields, list, text, textOrNull } from './decode';

export interface AuditEntry {
  seq: number;
  at_ms: number;
  user_name: string | null;
  source: string;
  action: string;
  outcome: string;
  /** JSON, with everything escaped that could draw something else than it says. */
  detail: string;
}

export interface AuditPage {
  entries: AuditEntry[];
  next: number | null;
}

/** Which entries; empty texts ask for all. */
export interface AuditFilter {
  action: string;
  outcome: string;
}

export const AUDIT_PATH = '/api/v1/audit';

export function auditQuery(filter: AuditFilter, limit: number, before: number | null): string {
  const query = new URLSearchParams({ limit: String(limit) });
  if (filter.action.trim() !== '') query.set('action', filter.action.trim());
  if (filter.outcome !== '') query.set('outcome', filter.outcome);
  if (before !== null) query.set('before', String(before));
  return `${AUDIT_PATH}?${query.toString()}`;
}

export function decodeAuditPage(value: unknown): AuditPage {
  const from = fields(value, 'audit record');
  return {
    entries: list(from, 'entries', (item) => {
      const entry = fields(item, 'entry');
      return {
        seq: count(entry, 'seq'),
        at_ms: count(entry, 'at_ms'),
        user_name: textOrNull(entry, 'user_name'),
        source: text(entry, 'source'),
        action: text(entry, 'action'),
        outcome: text(entry, 'outcome'),
        detail: plain(JSON.stringify(entry['detail'] ?? {})),
      };
    }),
    next: countOrNull(from, 'next'),
  };
}

function plain(json: string): string {
  return json.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
