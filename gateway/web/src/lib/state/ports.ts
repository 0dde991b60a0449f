// What a workspace's list of ports shows: those that programs listen on, and those that have a preview. Pure.

import { formatTime } from '../format';
import type { Port, Preview, WorkspacePreviews } from '../api/types';

export interface PortRow {
  port: number;
  /** What listens there; null while nothing does, as far as is known. */
  listens: Port | null;
  preview: Preview | null;
}

/** Rows by port. What listens is known of a box that is online only. */
export function portRows(known: WorkspacePreviews | undefined, online: boolean): PortRow[] {
  const rows = new Map<number, PortRow>();
  for (const preview of known?.previews ?? []) {
    rows.set(preview.port, { port: preview.port, listens: null, preview });
  }
  for (const listens of online ? (known?.ports ?? []) : []) {
    rows.set(listens.port, { port: listens.port, listens, preview: rows.get(listens.port)?.preview ?? null });
  }
  return [...rows.values()].sort((a, b) => a.port - b.port);
}

/** What a row is called. */
export function portName(row: PortRow): string {
  const { kind, process } = row.listens ?? {};
  if (kind && process && kind !== process) return `${kind} (${process})`;
  return kind ?? process ?? `Port ${row.port}`;
}

/** Who can see a preview, in words. */
export function visibleTo(preview: Preview, now = Date.now()): string {
  if (preview.visibility === 'public') return 'public: everybody who has the address';
  const until = preview.link_until_ms;
  if (preview.visibility === 'link' && until !== null && until > now) {
    return `you, and whoever has a link, until ${formatTime(until)}`;
  }
  return 'private: only you';
}

/** The port that somebody typed; null when it is none. */
export function parsePort(text: string): number | null {
  const port = /^\s*\d{1,5}\s*$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : null;
}
