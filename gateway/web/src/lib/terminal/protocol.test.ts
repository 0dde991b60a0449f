// The messages on the wire, byte by byte.
import { describe, expect, it } from 'vitest';

import {
  MAX_MESSAGE_BYTES,
  bytesOfBinaryString,
  clampSize,
  decodeOutput,
  decodeText,
  encodeAck,
  encodeHello,
  encodeInput,
  encodePing,
  encodeResize,
  splitUtf8,
  subprotocols,
} from './protocol';

const text = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(bytes);

describe('sizes', () => {
  it('says hello and resizes in the agreed form', () => {
    expect(text(encodeHello({ columns: 80, rows: 24 }))).toBe('{"columns":80,"rows":24}');
    expect(text(encodeResize({ columns: 80, rows: 24 }))).toBe('1{"columns":80,"rows":24}');
  });

  it.each([
    [
      { columns: 0, rows: 0 },
      { columns: 2, rows: 1 },
    ],
    [
      { columns: 65535, rows: 65535 },
      { columns: 1000, rows: 500 },
    ],
    [
      { columns: NaN, rows: -3 },
      { columns: 2, rows: 1 },
    ],
    [
      { columns: 80.9, rows: 24.1 },
      { columns: 80, rows: 24 },
    ],
  ])('clamps %j to %j', (size, clamped) => {
    expect(clampSize(size)).toEqual(clamped);
    expect(text(encodeHello(size))).toBe(JSON.stringify(clamped));
  });
});

describe('input', () => {
  it('puts the type before UTF-8', () => {
    expect(encodeInput('é').map((message) => [...message])).toEqual([[0x30, 0xc3, 0xa9]]);
  });

  it('sends nothing for nothing', () => {
    expect(encodeInput('')).toEqual([]);
  });

  it.each(['a', 'é', '漢', '🚢'])('splits a large paste of %s between characters', (character) => {
    const paste = `x${character.repeat(70_000)}`;
    const messages = encodeInput(paste);
    expect(messages.length).toBeGreaterThan(1);
    for (const message of messages) {
      expect(message.length).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
      expect(message[0]).toBe(0x30);
      expect(() => text(message)).not.toThrow();
    }
    expect(messages.map((message) => text(message.subarray(1))).join('')).toBe(paste);
  });

  it('fills each message to the limit when it can', () => {
    const messages = encodeInput('a'.repeat(2 * (MAX_MESSAGE_BYTES - 1)));
    expect(messages.map(({ length }) => length)).toEqual([MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES]);
  });

  it('splits bytes that are no UTF-8 without losing any', () => {
    const bytes = new Uint8Array(1000).fill(0x80);
    const parts = splitUtf8(bytes, 64);
    expect(parts.every((part) => part.length > 0 && part.length <= 64)).toBe(true);
    expect(parts.reduce((sum, part) => sum + part.length, 0)).toBe(1000);
  });

  it('keeps binary strings byte for byte', () => {
    expect([...bytesOfBinaryString('\x1b[M\xff')]).toEqual([0x1b, 0x5b, 0x4d, 0xff]);
  });
});

describe('output', () => {
  it('strips the type and leaves the bytes alone', () => {
    const message = Uint8Array.of(0x30, 0xff, 0x00, 0xc3).buffer;
    expect([...(decodeOutput(message) ?? [])]).toEqual([0xff, 0x00, 0xc3]);
  });

  it('ignores other kinds and empty messages', () => {
    expect(decodeOutput(Uint8Array.of(0x31, 0x61).buffer)).toBeNull();
    expect(decodeOutput(new ArrayBuffer(0))).toBeNull();
  });
});

describe('text messages', () => {
  it('are written in the agreed form', () => {
    expect(encodePing(7)).toBe('{"type":"ping","n":7}');
    expect(encodeAck(65536)).toBe('{"type":"ack","out":65536}');
    expect(subprotocols('abc')).toEqual(['berth.v1', 'ticket.abc']);
  });

  it('are read, and unknown ones ignored', () => {
    expect(decodeText('{"type":"pong","n":7}')).toEqual({ type: 'pong', n: 7 });
    expect(decodeText('{"type":"echo","in":3,"out":4096}')).toEqual({ type: 'echo', in: 3, out: 4096 });
    expect(decodeText('{"type":"closing","kind":"drain","message":"Bye."}')).toEqual({
      type: 'closing',
      kind: 'drain',
      message: 'Bye.',
    });
    for (const odd of [
      '{"type":"presence"}',
      '{"type":"pong","n":"7"}',
      '{"type":"echo","in":1}',
      'null',
      '[]',
      'not JSON',
      '',
    ]) {
      expect(decodeText(odd), odd).toBeNull();
    }
  });
});
