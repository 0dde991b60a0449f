// How a terminal connection comes to be, comes back, and ends for good.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Harness, settle } from '../../testing/harness';
import { ApiError } from '../api/errors';

const OFFLINE = new ApiError(503, 'box_offline', 'The box does not answer.', 'req-9');

let h: Harness;

beforeEach(() => {
  vi.useFakeTimers();
  h = new Harness();
});

afterEach(() => {
  h.connection.stop();
  vi.useRealTimers();
});

describe('connecting', () => {
  it('offers the ticket, says its size first, and is live at the first message', async () => {
    h.connection.start();
    await settle();
    expect(h.socket.protocols).toEqual(['berth.v1', 'ticket.t1']);
    expect(h.socket.binaryType).toBe('arraybuffer');
    expect(h.socket.sent).toEqual([]);
    h.socket.open();
    expect(h.socket.binary).toEqual(['{"columns":80,"rows":24}']);
    expect(h.state).toBe('connecting');
    h.socket.output('hello');
    expect(h.state).toBe('live');
    expect(h.screen).toEqual(['<reset>', 'hello']);
  });

  it('measures the round trip', async () => {
    await h.goLive();
    await settle(42);
    h.socket.say({ type: 'pong', n: 1 });
    expect(h.status?.roundTripMs).toBe(42);
  });

  it('sends new sizes once each, clamped', async () => {
    await h.goLive();
    h.connection.resize({ columns: 5000, rows: 0 });
    h.connection.resize({ columns: 1000, rows: 1 });
    expect(h.socket.binary.slice(1)).toEqual(['1{"columns":1000,"rows":1}']);
  });

  it('uses the newest size for the next connection', async () => {
    const first = await h.goLive();
    first.end(1006);
    h.connection.resize({ columns: 40, rows: 20 });
    await settle(500);
    h.socket.open();
    expect(h.socket.binary).toEqual(['{"columns":40,"rows":20}']);
  });
});

describe('reconnecting', () => {
  it.each([1000, 1006, 1011, 1012, 4503])('tries again after close code %d', async (code) => {
    const first = await h.goLive();
    first.end(code);
    expect(h.state).toBe(code === 4503 ? 'offline' : 'connecting');
    await settle(499);
    expect(h.tickets).toBe(1);
    await settle(1);
    expect(h.tickets).toBe(2);
    h.socket.open();
    h.socket.output('again');
    expect(h.state).toBe('live');
    expect(h.screen).toEqual(['<reset>', 'screen', '<reset>', 'again']);
  });

  it('waits longer each time, and starts over once a link has lasted', async () => {
    h.connection.start();
    for (const delay of [500, 1000, 2000]) {
      await settle();
      h.socket.end(1006);
      const before = h.tickets;
      await settle(delay - 1);
      expect(h.tickets).toBe(before);
      await settle(1);
      expect(h.tickets).toBe(before + 1);
    }
    h.socket.open();
    h.socket.output('x');
    await h.stayLive(6_000);
    h.socket.end(1006);
    const before = h.tickets;
    await settle(500);
    expect(h.tickets).toBe(before + 1);
  });

  it('tries at once when nudged while waiting, but never twice at a time', async () => {
    h.ticketError = OFFLINE;
    h.connection.start();
    await settle(5_000);
    const before = h.tickets;
    h.connection.nudge();
    h.connection.nudge();
    expect(h.tickets).toBe(before + 1);
  });

  it('says that the box is offline, why, and keeps saying so until it is back', async () => {
    h.ticketError = OFFLINE;
    h.connection.start();
    await settle(20_000);
    expect(h.tickets).toBeGreaterThan(3);
    expect(new Set(h.statuses.slice(1).map((status) => status.state))).toEqual(
      new Set(['connecting', 'offline']),
    );
    expect(h.statuses.findLastIndex((status) => status.state === 'connecting')).toBeLessThan(3);
    expect(h.status).toMatchObject({ message: 'The box does not answer.', requestId: 'req-9' });
    h.ticketError = null;
    h.connection.nudge();
    await settle();
    h.socket.open();
    h.socket.output('back');
    expect(h.status).toMatchObject({ state: 'live', message: null });
  });
});

describe('the end', () => {
  it.each([
    [4001, 'revoked'],
    [4004, 'gone'],
    [1008, 'refused'],
  ])('close code %d is final: %s', async (code, final) => {
    const first = await h.goLive();
    first.say({ type: 'closing', kind: 'any', message: 'Because.' });
    first.end(code);
    expect(h.status).toMatchObject({ state: final, message: 'Because.' });
    h.connection.nudge();
    await settle(120_000);
    expect(h.tickets).toBe(1);
    expect(h.state).toBe(final);
  });

  it.each([
    [404, 'session_not_found', 'gone'],
    [403, 'forbidden', 'refused'],
  ])('a ticket refused with %d is final', async (status, kind, final) => {
    h.ticketError = new ApiError(status, kind, 'No.');
    h.connection.start();
    await settle(120_000);
    expect([h.tickets, h.state]).toEqual([1, final]);
  });

  it('a ticket refused with 401 signs the page out', async () => {
    h.ticketError = new ApiError(401, 'not_signed_in', 'Sign in.');
    h.connection.start();
    await settle(120_000);
    expect(h.onSignedOut).toHaveBeenCalledOnce();
    expect(h.tickets).toBe(1);
  });

  it('stop closes the socket and starts nothing new', async () => {
    const first = await h.goLive();
    h.connection.stop();
    expect(first.closed).toBe(true);
    await settle(120_000);
    expect(h.tickets).toBe(1);
  });
});
