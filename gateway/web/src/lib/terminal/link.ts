// One WebSocket to one terminal, from opening to its end: says hello, moves bytes, pings, acknowledges what
// was drawn, and notices when nobody answers any more. It never reconnects; `connection.ts` makes a new one.

import { ACK_EVERY_MS, AckMeter } from './flow';
import type { Lease, Present } from './company';
import { type Health, Liveness, PING_EVERY_MS, TICK_MS } from './liveness';
import {
  PRESENCE_EVERY_MS,
  type Bytes,
  type Size,
  clampSize,
  decodeOutput,
  decodeText,
  encodeAck,
  encodeHello,
  encodeInput,
  encodeLead,
  encodePing,
  encodePresence,
  encodeResize,
  sameSize,
} from './protocol';

/** The part of `WebSocket` that is used, so that tests can stand in for it. */
export interface SocketLike {
  binaryType: string;
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  send: (data: string | Bytes) => void;
  close: (code?: number, reason?: string) => void;
}

export interface LinkEvents {
  /** The first sign of life from the other side. */
  onLive: () => void;
  /** `drawn` must be called once the bytes are on the screen. */
  onOutput: (bytes: Uint8Array, drawn: () => void) => void;
  onHealth: (health: Health) => void;
  onRoundTrip: (ms: number) => void;
  /** The box had been given the input up to this byte before the newest of what is drawn. */
  onEchoed: (upTo: number) => void;
  onLease: (lease: Lease) => void;
  onPresence: (clients: Present[]) => void;
  /** Called once, however it ended. `said` is the gateway's own explanation. */
  onEnd: (code: number, said: string | null) => void;
}

/** What a browser reports for a connection that ended without a goodbye. */
export const ABNORMAL_CLOSE = 1006;

export class Link {
  readonly #socket: SocketLike;
  readonly #events: LinkEvents;
  readonly #meter = new AckMeter();
  readonly #liveness = new Liveness(Date.now());
  readonly #ticker: ReturnType<typeof setInterval>;
  #ackTimer: ReturnType<typeof setTimeout> | undefined;
  #open = false;
  #live = false;
  #ended = false;
  #health: Health = 'well';
  #size: Size;
  #said: string | null = null;
  #ping = { n: 0, sentAt: 0 };
  #sent = 0;
  #hidden: boolean;
  #presentAt = 0;
  /** Echoes told for output that is not drawn yet, oldest first. */
  #echoes: { in: number; out: number }[] = [];

  constructor(socket: SocketLike, size: Size, hidden: boolean, events: LinkEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#size = clampSize(size);
    this.#hidden = hidden;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = (event) => this.#end(event.code);
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
  }

  /** True while what is typed may be expected to arrive. */
  get usable(): boolean {
    return this.#live && !this.#ended && this.#health === 'well';
  }

  /** Bytes of input sent so far. */
  get sent(): number {
    return this.#sent;
  }

  send(input: string | Uint8Array): void {
    for (const message of encodeInput(input)) {
      this.#socket.send(message);
      this.#sent += message.length - 1;
    }
  }

  resize(size: Size): void {
    const next = clampSize(size);
    if (sameSize(next, this.#size)) return;
    this.#size = next;
    if (this.#open && !this.#ended) this.#socket.send(encodeResize(next));
  }

  /** Says whether anybody can see the page. */
  hidden(hidden: boolean): void {
    if (hidden === this.#hidden) return;
    this.#hidden = hidden;
    this.#sayPresence();
  }

  /** Asks that the session has this page's size, or gives that back. */
  lead(take: boolean): void {
    if (this.#open && !this.#ended) this.#socket.send(encodeLead(take));
  }

  /** Something happened that may have cut the connection: ask for a quick proof of life. */
  suspect(): void {
    if (this.#liveness.suspect(Date.now()) && this.#open) this.#sendPing();
    // A silence that was slept through counts at once: what is typed now may go nowhere.
    this.#tick();
  }

  /** The browser says that there is no network. What is typed would arrive late, if at all. */
  cut(): void {
    if (this.#liveness.cut(Date.now()) && this.#open) this.#sendPing();
    this.#setHealth('stalled');
  }

  /** Ends the link from this side, without `onEnd`. */
  close(): void {
    this.#ended = true;
    clearInterval(this.#ticker);
    clearTimeout(this.#ackTimer);
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(1000);
  }

  #opened(): void {
    this.#open = true;
    this.#socket.send(encodeHello(this.#size));
    this.#sendPing();
    this.#sayPresence();
  }

  #received(data: unknown): void {
    this.#liveness.heard(Date.now());
    if (!this.#live) {
      this.#live = true;
      this.#events.onLive();
    }
    this.#setHealth('well');
    if (typeof data === 'string') this.#receivedText(data);
    else if (data instanceof ArrayBuffer) this.#receivedBytes(data);
  }

  #receivedText(text: string): void {
    const message = decodeText(text);
    if (message?.type === 'closing') this.#said = message.message;
    if (message?.type === 'lease') this.#events.onLease(message.lease);
    if (message?.type === 'presence') this.#events.onPresence(message.clients);
    if (message?.type === 'echo') {
      this.#echoes.push(message);
      this.#tellEchoes();
    }
    if (message?.type === 'pong' && message.n === this.#ping.n) {
      this.#events.onRoundTrip(Math.max(0, performance.now() - this.#ping.sentAt));
    }
  }

  #receivedBytes(message: ArrayBuffer): void {
    const output = decodeOutput(message);
    if (output) this.#events.onOutput(output, () => this.#drawn(output.length));
  }

  #drawn(bytes: number): void {
    if (this.#ended) return;
    this.#meter.drawn(bytes);
    this.#tellEchoes();
    if (this.#meter.due) this.#sendAck();
    else this.#ackTimer ??= setTimeout(() => this.#sendAck(), ACK_EVERY_MS);
  }

  #tellEchoes(): void {
    const drawn = this.#echoes.filter(({ out }) => out <= this.#meter.total);
    this.#echoes.splice(0, drawn.length);
    const newest = drawn.at(-1);
    if (newest) this.#events.onEchoed(newest.in);
  }

  #sendAck(): void {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = undefined;
    if (this.#meter.pending && !this.#ended) this.#socket.send(encodeAck(this.#meter.take()));
  }

  #sayPresence(): void {
    if (!this.#open || this.#ended) return;
    this.#presentAt = performance.now();
    this.#socket.send(encodePresence(this.#hidden));
  }

  #sendPing(): void {
    this.#ping = { n: this.#ping.n + 1, sentAt: performance.now() };
    this.#socket.send(encodePing(this.#ping.n));
  }

  #tick(): void {
    const { health, ping } = this.#liveness.tick(Date.now());
    if (health === 'dead') {
      // Closing waits for the other side's answer, which is just what does not come: don't wait for it.
      this.close();
      this.#events.onEnd(ABNORMAL_CLOSE, this.#said);
      return;
    }
    this.#setHealth(health);
    const due = performance.now() - this.#ping.sentAt >= PING_EVERY_MS;
    if (this.#open && (ping || due)) this.#sendPing();
    if (performance.now() - this.#presentAt >= PRESENCE_EVERY_MS) this.#sayPresence();
  }

  #setHealth(health: Health): void {
    if (health === this.#health) return;
    this.#health = health;
    this.#events.onHealth(health);
  }

  #end(code: number): void {
    this.close();
    this.#events.onEnd(code, this.#said);
  }
}
