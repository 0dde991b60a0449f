// The messages of a terminal connection, as bytes and JSON; no sockets here. Binary messages carry the
// terminal itself (one type byte, then the payload), text messages carry what we say about it.

import { type Lease, type Present, decodeLease, decodePresence } from './company';

export const SUBPROTOCOL = 'berth.v1';

/** The longest binary message the gateway takes, type byte included. */
export const MAX_MESSAGE_BYTES = 64 * 1024;

const TYPE_DATA = 0x30; // '0': input to the box, output from it
const TYPE_RESIZE = 0x31; // '1'

const encoder = new TextEncoder();

/** Bytes that may be handed to `WebSocket.send` (never backed by shared memory). */
export type Bytes = Uint8Array<ArrayBuffer>;

export interface Size {
  columns: number;
  rows: number;
}

/** The sizes a terminal may have; a tmux told anything larger stops answering. */
export function clampSize(size: Size): Size {
  return { columns: clamp(size.columns, 2, 1000), rows: clamp(size.rows, 1, 500) };
}

function clamp(value: number, low: number, high: number): number {
  return Number.isFinite(value) ? Math.min(high, Math.max(low, Math.floor(value))) : low;
}

export function sameSize(a: Size, b: Size): boolean {
  return a.columns === b.columns && a.rows === b.rows;
}

/** The subprotocols to offer; the ticket travels here because a browser can set no other header. */
export function subprotocols(ticket: string): string[] {
  return [SUBPROTOCOL, `ticket.${ticket}`];
}

/** The first message of a connection. */
export function encodeHello(size: Size): Bytes {
  return encoder.encode(JSON.stringify(clampSize(size)));
}

export function encodeResize(size: Size): Bytes {
  return withType(TYPE_RESIZE, encodeHello(size));
}

/** Input as messages within the limit; a character is never cut in two, though the box would not mind. */
export function encodeInput(input: string | Uint8Array): Bytes[] {
  const bytes = typeof input === 'string' ? encoder.encode(input) : input;
  return splitUtf8(bytes, MAX_MESSAGE_BYTES - 1).map((part) => withType(TYPE_DATA, part));
}

/** Cuts bytes into parts of at most `limit`, before a UTF-8 character rather than inside it. */
export function splitUtf8(bytes: Uint8Array, limit: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let start = 0;
  while (start < bytes.length) {
    let end = Math.min(bytes.length, start + limit);
    // A character has at most three continuation bytes; longer runs are not UTF-8 and are cut anywhere.
    for (let back = 0; back < 4 && end < bytes.length; back += 1) {
      if (!isContinuation(bytes[end - back])) {
        if (end - back > start) end -= back;
        break;
      }
    }
    parts.push(bytes.subarray(start, end));
    start = end;
  }
  return parts;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** What xterm.js calls a binary string: one byte per UTF-16 unit. */
export function bytesOfBinaryString(data: string): Bytes {
  return Uint8Array.from(data, (unit) => unit.charCodeAt(0) & 0xff);
}

function withType(type: number, payload: Uint8Array): Bytes {
  const message = new Uint8Array(payload.length + 1);
  message[0] = type;
  message.set(payload, 1);
  return message;
}

/** The payload of an output message, or null for a binary message of another kind. */
export function decodeOutput(message: ArrayBuffer): Uint8Array | null {
  const bytes = new Uint8Array(message);
  return bytes[0] === TYPE_DATA ? bytes.subarray(1) : null;
}

export function encodePing(n: number): string {
  return JSON.stringify({ type: 'ping', n });
}

export function encodeAck(out: number): string {
  return JSON.stringify({ type: 'ack', out });
}

/** How often a page says that it is there. */
export const PRESENCE_EVERY_MS = 30_000;

export function encodePresence(hidden: boolean): string {
  return JSON.stringify({ type: 'presence', hidden });
}

/** Asks that the session has this page's size, or gives that back. */
export function encodeLead(take: boolean): string {
  return JSON.stringify({ type: 'lease', take });
}

export type ServerText =
  | { type: 'pong'; n: number }
  /** When output byte `out` was sent, the box had been given the input up to byte `in`. */
  | { type: 'echo'; in: number; out: number }
  | { type: 'lease'; lease: Lease }
  | { type: 'presence'; clients: Present[] }
  | { type: 'closing'; kind: string; message: string };

/** A text message of the gateway; null for what this page doesn't know, which is to be ignored. */
export function decodeText(text: string): ServerText | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;

  const fields = value as Record<string, unknown>;
  const { type, n, in: input, out, kind, message } = fields;
  if (type === 'pong' && typeof n === 'number') return { type, n };
  if (type === 'echo' && typeof input === 'number' && typeof out === 'number')
    return { type, in: input, out };
  if (type === 'lease') {
    const lease = decodeLease(fields);
    return lease && { type, lease };
  }
  if (type === 'presence') {
    const clients = decodePresence(fields);
    return clients && { type, clients };
  }
  if (type === 'closing' && typeof kind === 'string' && typeof message === 'string') {
    return { type, kind, message };
  }
  return null;
}
