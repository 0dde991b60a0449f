// Keeps one terminal connected. Each attempt is a ticket and then a `Link`; whatever ends it is either final
// or followed by the next attempt. tmux on the box holds the screen and redraws it, so nothing is replayed:
// what is typed while there is no live link is dropped, never sent later into who knows what.
//
//   connecting ──first message──▶ live ◀──a message── stalled
//       ▲   │                      │ └──13 s silence──▶ │
//       │   └─503─▶ offline        └──end, or 25 s silence──▶ connecting
//       └────wait──────┘           4001 revoked · 4004 gone · 1008 refused: final

import { toApiError } from '../api/errors';
import type { Ticket } from '../api/types';
import { Backoff } from '../backoff';
import type { Lease, Present } from './company';
import { Link, type SocketLike } from './link';
import { type Size, subprotocols } from './protocol';
import {
  type TerminalState,
  type TerminalStatus,
  type Verdict,
  isFinal,
  verdictOfClose,
  verdictOfTicketError,
} from './status';

/** A link that lived this long was worth something: the next failure starts the backoff over. */
export const STABLE_AFTER_MS = 5_000;

export interface ConnectionOptions {
  size: Size;
  getTicket: (signal: AbortSignal) => Promise<Ticket>;
  openSocket: (protocols: string[]) => SocketLike;
  onStatus: (status: TerminalStatus) => void;
  /** The screen is about to be redrawn from nothing. Always directly before the first output of a link. */
  onReset: () => void;
  onOutput: (bytes: Uint8Array, drawn: () => void) => void;
  /** The input up to this byte of the present link may be seen in what is drawn now. */
  onEchoed?: (upTo: number) => void;
  /** The session's size as of now, and whether it is this page's. Always before output of that size. */
  onLease?: (lease: Lease) => void;
  /** Who is at the session; nobody that is known of while there is no link. */
  onPresence?: (clients: Present[]) => void;
  onSignedOut: () => void;
  backoff?: Backoff;
}

export class TerminalConnection {
  readonly #options: ConnectionOptions;
  readonly #backoff: Backoff;
  #status: TerminalStatus = { state: 'connecting', message: null, requestId: null, roundTripMs: null };
  #size: Size;
  #hidden = false;
  #link: Link | null = null;
  #attempt: AbortController | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #liveSince: number | null = null;
  #stopped = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#size = options.size;
    this.#backoff = options.backoff ?? new Backoff();
  }

  start(): void {
    this.#options.onStatus(this.#status);
    void this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#attempt?.abort();
    this.#link?.close();
    this.#link = null;
  }

  /** Sends input if it can arrive now; false means that it was dropped. */
  send(input: string | Uint8Array): boolean {
    if (!this.#link?.usable) return false;
    this.#link.send(input);
    return true;
  }

  /** Bytes of input sent over the present link. */
  get sent(): number {
    return this.#link?.sent ?? 0;
  }

  resize(size: Size): void {
    this.#size = size;
    this.#link?.resize(size);
  }

  /** Says whether anybody can see the page. */
  hidden(hidden: boolean): void {
    this.#hidden = hidden;
    this.#link?.hidden(hidden);
  }

  /** Asks that the session has this page's size, or gives that back. */
  lead(take: boolean): void {
    this.#link?.lead(take);
  }

  /** Connects anew, with another ticket. */
  reconnect(): void {
    if (this.#stopped) return;
    this.#attempt?.abort();
    this.#link?.close();
    this.#link = null;
    this.#liveSince = null;
    this.#connectNow();
  }

  /** The page woke, the network or the box came back: try now, or check that the link still lives. */
  nudge(): void {
    if (this.#stopped) return;
    if (this.#link) this.#link.suspect();
    else if (!this.#attempt) this.#connectNow();
  }

  /** The browser lost its network: trust the link again only when something is heard from it. */
  cut(): void {
    this.#link?.cut();
  }

  #connectNow(): void {
    clearTimeout(this.#retry);
    void this.#connect();
  }

  async #connect(): Promise<void> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    // While the box is offline the page keeps saying so, rather than flicker with every attempt.
    if (this.#status.state !== 'offline') this.#setState('connecting', this.#status.message);

    try {
      const { ticket } = await this.#options.getTicket(attempt.signal);
      if (attempt.signal.aborted) return;
      this.#setState('connecting', null);
      this.#open(ticket);
    } catch (error) {
      if (attempt.signal.aborted) return;
      this.#ticketFailed(error);
    } finally {
      this.#attempt = null;
    }
  }

  #ticketFailed(cause: unknown): void {
    const error = toApiError(cause);
    const verdict = verdictOfTicketError(error);
    if (verdict) {
      this.#settle(verdict, error.requestId);
    } else {
      this.stop();
      this.#options.onSignedOut();
    }
  }

  #open(ticket: string): void {
    const socket = this.#options.openSocket(subprotocols(ticket));
    let drawnBefore = false;
    const link = new Link(socket, this.#size, this.#hidden, {
      onLive: () => {
        this.#liveSince = Date.now();
        this.#setState('live', null);
      },
      onHealth: (health) => {
        if (this.#liveSince !== null) this.#setState(health === 'well' ? 'live' : 'stalled', null);
      },
      onRoundTrip: (ms) => this.#setStatus({ ...this.#status, roundTripMs: Math.round(ms) }),
      onOutput: (bytes, drawn) => {
        if (!drawnBefore) this.#options.onReset();
        drawnBefore = true;
        this.#options.onOutput(bytes, drawn);
      },
      onEchoed: (upTo) => this.#options.onEchoed?.(upTo),
      onLease: (lease) => this.#options.onLease?.(lease),
      onPresence: (clients) => this.#options.onPresence?.(clients),
      onEnd: (code, said) => this.#ended(code, said),
    });
    this.#link = link;
  }

  #ended(code: number, said: string | null): void {
    this.#link = null;
    if (this.#liveSince !== null && Date.now() - this.#liveSince >= STABLE_AFTER_MS) this.#backoff.reset();
    this.#liveSince = null;
    this.#options.onPresence?.([]);
    this.#settle(verdictOfClose(code, said), null);
  }

  /** Takes on a state that has no link: for good, or until the next attempt. */
  #settle(verdict: Verdict, requestId: string | null): void {
    this.#setStatus({ ...verdict, requestId, roundTripMs: null });
    if (isFinal(verdict.state)) this.stop();
    else this.#retry = setTimeout(() => void this.#connect(), this.#backoff.next());
  }

  #setState(state: TerminalState, message: string | null): void {
    const connected = state === 'live' || state === 'stalled';
    this.#setStatus({
      state,
      message,
      requestId: null,
      roundTripMs: connected ? this.#status.roundTripMs : null,
    });
  }

  #setStatus(status: TerminalStatus): void {
    this.#status = status;
    this.#options.onStatus(status);
  }
}
