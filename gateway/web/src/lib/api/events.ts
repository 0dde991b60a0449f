// Event streams: the live picture's, and others that come and go with what is looked at. They are read with `fetch` rather than `EventSource`, because only so can the page see
// why a stream ended (401 means signed out) and the comment lines that prove a silent stream alive: a phone
// that wakes up otherwise trusts a dead connection for minutes.

import { Backoff } from '../backoff';
import { decodeEvent } from './decode';
import { SseParser } from './sse';
import type { LiveEvent } from './types';

/** Two comment lines (one every 15 s) missed, and a little. */
const SILENCE_LIMIT_MS = 35_000;
/** Coming back to the page, silence of more than one comment line is already suspicious. */
const SILENCE_LIMIT_ON_WAKE_MS = 17_000;
const CONNECT_LIMIT_MS = 15_000;

export type StreamState = 'connecting' | 'live' | 'reconnecting';

/** What a stream tells. */
export interface Subject<E> {
  path: string;
  /** One event; null for a kind this UI does not know. */
  decode: (name: string, data: string) => E | null;
  /** Whether all is known again after this event. */
  completes: (event: E) => boolean;
}

export interface EventStreamOptions<E> {
  onEvent: (event: E) => void;
  onState: (state: StreamState) => void;
  onSignedOut: () => void;
  fetch?: typeof fetch;
  backoff?: Backoff;
}

export class Subscription<E> {
  readonly #subject: Subject<E>;
  readonly #options: EventStreamOptions<E>;
  readonly #backoff: Backoff;
  #abort: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastByteAt = 0;
  #open = false;
  #closed = false;

  constructor(subject: Subject<E>, options: EventStreamOptions<E>) {
    this.#subject = subject;
    this.#options = options;
    this.#backoff = options.backoff ?? new Backoff();
  }

  start(): void {
    this.#options.onState('connecting');
    void this.#run();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }

  /** The page woke up or the network came back: don't sit out a delay, don't trust a silent stream. */
  nudge(): void {
    if (this.#closed) return;
    const silent = Date.now() - this.#lastByteAt > SILENCE_LIMIT_ON_WAKE_MS;
    if (this.#open && silent) this.#abort?.abort();
    if (!this.#abort) {
      clearTimeout(this.#timer);
      void this.#run();
    }
  }

  async #run(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    try {
      await this.#read(abort);
    } catch {
      // The reason doesn't matter: every end of the stream is followed by a new one.
    } finally {
      clearTimeout(this.#timer);
      abort.abort();
      this.#abort = null;
      this.#open = false;
    }
    if (this.#isClosed()) return;
    this.#options.onState('reconnecting');
    this.#timer = setTimeout(() => void this.#run(), this.#backoff.next());
  }

  async #read(abort: AbortController): Promise<void> {
    this.#watch(abort, CONNECT_LIMIT_MS);
    const response = await (this.#options.fetch ?? fetch)(this.#subject.path, {
      headers: { accept: 'text/event-stream' },
      credentials: 'same-origin',
      cache: 'no-store',
      signal: abort.signal,
    });
    if (response.status === 401) {
      this.#closed = true;
      this.#options.onSignedOut();
      return;
    }
    if (!response.ok || !response.body) return;

    this.#open = true;
    const parser = new SseParser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      this.#watch(abort, SILENCE_LIMIT_MS);
      const { done, value } = await reader.read();
      if (done || abort.signal.aborted) return;
      this.#lastByteAt = Date.now();
      for (const { event, data } of parser.push(value)) this.#deliver(event, data);
    }
  }

  #deliver(name: string, data: string): void {
    let event: E | null;
    try {
      event = this.#subject.decode(name, data);
    } catch (error) {
      // One event that can't be read must not take the stream down, and the next snapshot mends the gap.
      console.error(`event ${name} ignored`, error);
      return;
    }
    if (!event) return;
    this.#options.onEvent(event);
    if (this.#subject.completes(event)) {
      // Only now is the picture complete and known to be current.
      this.#backoff.reset();
      this.#options.onState('live');
    }
  }

  #watch(abort: AbortController, limitMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => abort.abort(), limitMs);
  }

  #isClosed(): boolean {
    return this.#closed;
  }
}

const LIVE: Subject<LiveEvent> = {
  path: '/api/v1/events',
  decode: decodeEvent,
  completes: (event) => event.type === 'snapshot',
};

/** The live picture's stream. */
export class EventStream extends Subscription<LiveEvent> {
  constructor(options: EventStreamOptions<LiveEvent>) {
    super(LIVE, options);
  }
}
