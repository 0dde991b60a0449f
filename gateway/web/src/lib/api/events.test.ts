// The event stream with a pretended server and clock: snapshots, endings, silence, sign-out.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Backoff } from '../backoff';
import { EventStream } from './events';
import type { LiveEvent } from './types';

const SNAPSHOT = 'event: snapshot\ndata: {"workspaces":[],"sessions":[]}\n\n';

class FakeServer {
  readonly requests: { body: ReadableStreamDefaultController<Uint8Array>; signal: AbortSignal }[] = [];
  status = 200;

  readonly fetch = ((_path: string, init: RequestInit) => {
    const signal = init.signal;
    if (!signal) throw new Error('the stream must be abortable');
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.requests.push({ body: controller, signal });
        signal.addEventListener('abort', () => controller.error(signal.reason));
      },
    });
    return Promise.resolve(new Response(this.status === 200 ? body : null, { status: this.status }));
  }) as typeof fetch;

  get last() {
    const last = this.requests.at(-1);
    if (!last) throw new Error('nobody called');
    return last;
  }

  async say(text: string) {
    this.last.body.enqueue(new TextEncoder().encode(text));
    await vi.advanceTimersByTimeAsync(1);
  }
}

describe('EventStream', () => {
  let server: FakeServer;
  let stream: EventStream;
  let states: string[];
  let events: LiveEvent[];
  const onSignedOut = vi.fn();

  beforeEach(async () => {
    vi.useFakeTimers();
    server = new FakeServer();
    states = [];
    events = [];
    onSignedOut.mockClear();
    stream = new EventStream({
      onEvent: (event) => events.push(event),
      onState: (state) => states.push(state),
      onSignedOut,
      fetch: server.fetch,
      backoff: new Backoff(() => 0),
    });
    stream.start();
    await vi.advanceTimersByTimeAsync(1);
  });

  afterEach(() => {
    stream.close();
    vi.useRealTimers();
  });

  it('is live once the snapshot has come', async () => {
    expect(states).toEqual(['connecting']);
    await server.say(SNAPSHOT);
    expect(states).toEqual(['connecting', 'live']);
    expect(events).toHaveLength(1);
  });

  it('comes back after the stream has ended', async () => {
    await server.say(SNAPSHOT);
    server.last.body.close();
    await vi.advanceTimersByTimeAsync(499);
    expect(states.at(-1)).toBe('reconnecting');
    expect(server.requests).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2);
    expect(server.requests).toHaveLength(2);
    await server.say(SNAPSHOT);
    expect(states.at(-1)).toBe('live');
  });

  it('lets comment lines prove it alive, and gives up without them', async () => {
    await server.say(SNAPSHOT);
    for (let beat = 0; beat < 5; beat += 1) {
      await vi.advanceTimersByTimeAsync(15_000);
      await server.say(': beat\n\n');
    }
    expect(server.requests).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(36_000);
    expect(server.requests).toHaveLength(2);
  });

  it('survives an event it cannot read', async () => {
    const complaint = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    await server.say(SNAPSHOT);
    await server.say('event: session\ndata: {"id":5}\n\n');
    await server.say('event: session_deleted\ndata: {"id":"ses-1"}\n\n');
    expect(events.map((event) => event.type)).toEqual(['snapshot', 'session_deleted']);
    expect(complaint).toHaveBeenCalledOnce();
    complaint.mockRestore();
  });

  it('stops for good when the answer is 401', async () => {
    server.status = 401;
    server.last.body.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(onSignedOut).toHaveBeenCalledOnce();
    expect(server.requests).toHaveLength(2);
  });

  it('skips the wait when nudged', async () => {
    server.status = 500;
    server.last.body.close();
    await vi.advanceTimersByTimeAsync(60_000);
    const before = server.requests.length;
    stream.nudge();
    await vi.advanceTimersByTimeAsync(0);
    expect(server.requests).toHaveLength(before + 1);
  });

  it('leaves a stream alone that was heard a moment ago, and replaces a silent one', async () => {
    await server.say(SNAPSHOT);
    stream.nudge();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(server.requests).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(20_000);
    stream.nudge();
    await vi.advanceTimersByTimeAsync(600);
    expect(server.requests).toHaveLength(2);
  });
});
