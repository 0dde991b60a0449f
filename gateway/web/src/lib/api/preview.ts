// Links to previews, and the requests that previews get.

import { count, countOrNull, fields, list, text, textOrNull } from './decode';

/** Whoever has one may see a preview for a while. */
export interface PreviewLink {
  id: string;
  name: string;
  url: string | null;
  expires_at_ms: number;
  opened: number;
  opened_at_ms: number | null;
}

export interface PreviewRequest {
  /** Counted by the gateway since it was started. */
  number: number;
  at_ms: number;
  method: string;
  path: string;
  status: number;
  millis: number;
}

/** Requests that are shown. */
const SHOWN = 50;

export function decodePreviewLink(value: unknown): PreviewLink {
  const from = fields(value, 'link');
  return {
    id: text(from, 'id'),
    name: text(from, 'name'),
    url: textOrNull(from, 'url'),
    expires_at_ms: count(from, 'expires_at_ms'),
    opened: count(from, 'opened'),
    opened_at_ms: countOrNull(from, 'opened_at_ms'),
  };
}

export function decodePreviewLinks(value: unknown): PreviewLink[] {
  return list(fields(value, 'links'), 'links', decodePreviewLink);
}

export function decodeOpenedLink(value: unknown): string {
  return text(fields(value, 'opened link'), 'url');
}

function request(value: unknown): PreviewRequest {
  const from = fields(value, 'request');
  return {
    number: count(from, 'number'),
    at_ms: count(from, 'at_ms'),
    method: text(from, 'method'),
    path: text(from, 'path'),
    status: count(from, 'status'),
    millis: count(from, 'millis'),
  };
}

export function decodeRequests(name: string, data: string): PreviewRequest[] | null {
  if (name !== 'requests') return null;
  const value: unknown = JSON.parse(data);
  return list(fields(value, 'requests'), 'requests', request);
}

/** The newest requests, those that came just now before those that were known. A stream that began anew tells some of
    them again, and one of a gateway that was restarted counts from one. */
export function withNewer(
  known: readonly PreviewRequest[],
  newer: readonly PreviewRequest[],
): PreviewRequest[] {
  const told = new Set(newer.map(keyOf));
  return [...newer, ...known.filter((one) => !told.has(keyOf(one)))].slice(0, SHOWN);
}

/** What tells requests apart. */
export function keyOf(one: PreviewRequest): string {
  return `${one.at_ms}/${one.number}`;
}
