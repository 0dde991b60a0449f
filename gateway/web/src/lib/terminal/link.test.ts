// What a terminal connection does while it is up: notices silence, takes what is typed, acknowledges.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Harness, settle } from '../../testing/harness';

let h: Harness;

beforeEach(() => {
  vi.useFakeTimers();
  h = new Harness();
});

afterEach(() => {
  h.connection.stop();
  vi.useRealTimers();
});

describe('silence', () => {
  it('pings every ten seconds', async () => {
    await h.goLive();
    await h.stayLive(30_000);
    expect(h.socket.texts('ping').map(({ n }) => n)).toEqual([1, 2, 3, 4]);
    expect(h.state).toBe('live');
  });

  it('is stalled after a while and live again at the next byte', async () => {
    await h.goLive();
    await settle(14_000);
    expect(h.state).toBe('stalled');
    h.socket.output('x');
    expect(h.state).toBe('live');
  });

  it('gives the connection up after 25 s without waiting for a goodbye', async () => {
    const first = await h.goLive();
    await settle(24_000);
    expect(h.tickets).toBe(1);
    await settle(1_600);
    expect(first.closed).toBe(true);
    expect(h.tickets).toBe(2);
    first.output('late');
    expect(h.screen).toEqual(['<reset>', 'screen']);
  });

  it('gives up a socket that never opens', async () => {
    h.connection.start();
    await settle(26_000);
    expect(h.sockets).toHaveLength(2);
  });

  it('asks for a proof of life when nudged, and reconnects without one', async () => {
    const first = await h.goLive();
    await settle(3_000);
    h.connection.nudge();
    expect(first.texts('ping')).toHaveLength(2);
    await settle(7_000);
    expect(h.tickets).toBe(2);
  });

  it('trusts nothing without a network until something is heard, and gives up after a while', async () => {
    const first = await h.goLive();
    await settle(3_000);
    h.connection.cut();
    expect(h.state).toBe('stalled');
    expect(h.connection.send('x')).toBe(false);
    expect(first.texts('ping')).toHaveLength(2);
    await settle(2_000);
    expect(h.state).toBe('stalled');
    first.say({ type: 'pong', n: 2 });
    expect(h.state).toBe('live');
    expect(h.connection.send('x')).toBe(true);
    h.connection.cut();
    await settle(7_000);
    expect(h.tickets).toBe(2);
  });

  it('keeps a connection that gives its proof', async () => {
    const first = await h.goLive();
    await settle(3_000);
    h.connection.nudge();
    first.say({ type: 'pong', n: 2 });
    await settle(8_000);
    expect(h.tickets).toBe(1);
  });
});

describe('an hour of sleep', () => {
  const HOUR_MS = 3_600_000;

  /** The clock goes on and no timer runs: that is what a page in a pocket sees. */
  function sleep(): void {
    vi.setSystemTime(Date.now() + HOUR_MS);
  }

  it.each([
    ['the page is told that it woke', 0, () => h.connection.nudge()],
    ['only its clock tells', 1_000, () => undefined],
  ])('ends a connection that died meanwhile, and the next is live: %s', async (_, noticed, wake) => {
    const first = await h.goLive();
    await h.stayLive(5_000);
    sleep();
    wake();
    await settle(noticed);
    expect(h.state).toBe('stalled');
    expect(h.connection.send('typed on waking'), 'nobody knows yet whether it would arrive').toBe(false);
    await settle(6_000);
    expect(first.closed).toBe(true);
    expect(h.tickets).toBe(2);
    h.socket.open();
    h.socket.output('after the hour');
    expect(h.state).toBe('live');
    expect(h.screen).toEqual(['<reset>', 'screen', '<reset>', 'after the hour']);
    expect(h.socket.binary.filter((message) => message.startsWith('0'))).toEqual([]);
  });

  it('keeps a connection that lived through it', async () => {
    const first = await h.goLive();
    sleep();
    h.connection.nudge();
    const pings = first.texts('ping').length;
    first.say({ type: 'pong', n: pings });
    await settle(8_000);
    expect([h.tickets, h.state]).toEqual([1, 'live']);
    expect(first.texts('ping'), 'one proof is enough').toHaveLength(pings);
  });

  it('tries at once on waking when it had ended while the page slept', async () => {
    const first = await h.goLive();
    sleep();
    first.end(1006);
    h.connection.nudge();
    await settle();
    expect(h.tickets).toBe(2);
  });
});

describe('typing', () => {
  it('is sent while live and dropped otherwise, never sent later', async () => {
    h.connection.start();
    expect(h.connection.send('too early')).toBe(false);
    await settle();
    h.socket.open();
    expect(h.connection.send('still too early')).toBe(false);
    h.socket.output('x');
    expect(h.connection.send('ls\r')).toBe(true);
    await settle(14_000);
    expect(h.connection.send('stalled')).toBe(false);
    h.socket.end(1006);
    expect(h.connection.send('between')).toBe(false);
    await settle(500);
    h.socket.open();
    h.socket.output('y');
    expect(h.connection.send('pwd\r')).toBe(true);
    const input = h.sockets.flatMap(({ binary }) => binary).filter((message) => message.startsWith('0'));
    expect(input).toEqual(['0ls\r', '0pwd\r']);
  });
});

describe('acknowledging', () => {
  it('tells what was drawn, after a moment or at 64 KiB', async () => {
    await h.goLive();
    expect(h.socket.texts('ack')).toEqual([]);
    await settle(100);
    expect(h.socket.texts('ack')).toEqual([{ type: 'ack', out: 6 }]);
    h.socket.output('x'.repeat(64 * 1024));
    expect(h.socket.texts('ack').at(-1)).toEqual({ type: 'ack', out: 6 + 64 * 1024 });
    await settle(200);
    expect(h.socket.texts('ack')).toHaveLength(2);
  });

  it('does not tell what was received but not drawn', async () => {
    h.draw = false;
    await h.goLive();
    await settle(1_000);
    expect(h.socket.texts('ack')).toEqual([]);
  });

  it('counts each connection from nothing', async () => {
    const first = await h.goLive();
    await settle(100);
    first.end(1006);
    await settle(500);
    h.socket.open();
    h.socket.output('abc');
    await settle(100);
    expect(h.socket.texts('ack')).toEqual([{ type: 'ack', out: 3 }]);
  });
});

describe('echoes', () => {
  it('are told once the output before them is drawn, by their bytes of input', async () => {
    await h.goLive();
    h.connection.send('é');
    expect(h.connection.sent).toBe(2);
    h.draw = false;
    h.socket.output('é');
    h.socket.say({ type: 'echo', in: 2, out: 8 });
    expect(h.onEchoed).not.toHaveBeenCalled();
    h.undrawn.forEach((drawn) => drawn());
    expect(h.onEchoed.mock.calls).toEqual([[2]]);
  });

  it('that come after their output are told at once, and only the newest of several', async () => {
    await h.goLive();
    h.connection.send('ls');
    h.draw = false;
    h.socket.output('ls');
    h.socket.say({ type: 'echo', in: 1, out: 7 });
    h.socket.say({ type: 'echo', in: 2, out: 8 });
    h.undrawn.forEach((drawn) => drawn());
    expect(h.onEchoed.mock.calls).toEqual([[2]]);
    h.socket.say({ type: 'echo', in: 3, out: 8 });
    expect(h.onEchoed).toHaveBeenLastCalledWith(3);
  });

  it('count the input of each connection from nothing', async () => {
    const first = await h.goLive();
    h.connection.send('ls');
    first.end(1006);
    expect(h.connection.sent).toBe(0);
  });
});

describe('company', () => {
  it('is told at once that this page is there, and whether it is looked at', async () => {
    h.connection.hidden(true);
    const socket = await h.goLive();
    expect(socket.texts('presence')).toEqual([{ type: 'presence', hidden: true }]);
    h.connection.hidden(false);
    h.connection.hidden(false);
    expect(socket.texts('presence')).toHaveLength(2);
  });

  it('is told again every half a minute', async () => {
    await h.goLive();
    await h.stayLive(61_000);
    expect(h.socket.texts('presence')).toHaveLength(3);
  });

  it('is asked for the size and given it back', async () => {
    const socket = await h.goLive();
    h.connection.lead(true);
    h.connection.lead(false);
    expect(socket.texts('lease').map(({ take }) => take)).toEqual([true, false]);
  });

  it('is heard of, and nobody is there without a connection', async () => {
    const socket = await h.goLive();
    socket.say({ type: 'lease', columns: 120, rows: 40, mine: false });
    expect(h.onLease).toHaveBeenCalledWith({ columns: 120, rows: 40, mine: false });
    socket.say({ type: 'presence', clients: [] });
    socket.end(1006);
    expect(h.onPresence.mock.calls).toEqual([[[]], [[]]]);
  });
});

it('connects anew with another ticket when it is told to', async () => {
  const first = await h.goLive();
  h.connection.reconnect();
  await settle();
  expect(first.closed).toBe(true);
  expect(h.tickets).toBe(2);
  expect(h.sockets).toHaveLength(2);
});
