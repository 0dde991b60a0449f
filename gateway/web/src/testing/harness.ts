// Test support: a terminal connection with a pretended gateway. Use with fake timers; every test makes one.

import { vi } from 'vitest';

import type { Ticket } from '../lib/api/types';
import { Backoff } from '../lib/backoff';
import { TerminalConnection } from '../lib/terminal/connection';
import type { TerminalStatus } from '../lib/terminal/status';
import { FakeSocket } from './fake-socket';

export class Harness {
  readonly sockets: FakeSocket[] = [];
  readonly statuses: TerminalStatus[] = [];
  /** What reached the screen, in order; a reset is written as `<reset>`. */
  readonly screen: string[] = [];
  readonly onSignedOut = vi.fn();
  readonly onEchoed = vi.fn();
  readonly onLease = vi.fn();
  readonly onPresence = vi.fn();
  readonly connection: TerminalConnection;
  /** How many tickets were asked for: one per attempt. */
  tickets = 0;
  /** When set, asking for a ticket fails with it. */
  ticketError: Error | null = null;
  /** Whether output is drawn as soon as it comes. */
  draw = true;
  /** What to call when what has come meanwhile is drawn after all. */
  readonly undrawn: (() => void)[] = [];

  constructor() {
    this.connection = new TerminalConnection({
      size: { columns: 80, rows: 24 },
      getTicket: () => this.#ticket(),
      openSocket: (protocols) => {
        const opened = new FakeSocket(protocols);
        this.sockets.push(opened);
        return opened;
      },
      onStatus: (status) => this.statuses.push(status),
      onReset: () => this.screen.push('<reset>'),
      onOutput: (bytes, drawn) => {
        this.screen.push(new TextDecoder().decode(bytes));
        if (this.draw) drawn();
        else this.undrawn.push(drawn);
      },
      onEchoed: this.onEchoed,
      onLease: this.onLease,
      onPresence: this.onPresence,
      onSignedOut: this.onSignedOut,
      // Without jitter, so that tests can count on the delays.
      backoff: new Backoff(() => 0),
    });
  }

  get status(): TerminalStatus | undefined {
    return this.statuses.at(-1);
  }

  get state(): string | undefined {
    return this.status?.state;
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    const last = this.sockets.at(-1);
    if (!last) throw new Error('no socket was opened');
    return last;
  }

  async goLive(): Promise<FakeSocket> {
    this.connection.start();
    await settle();
    this.socket.open();
    this.socket.output('screen');
    return this.socket;
  }

  /** Lets time pass while the gateway answers every ping. */
  async stayLive(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1_000) {
      this.socket.say({ type: 'pong', n: this.socket.texts('ping').length });
      await settle(1_000);
    }
  }

  #ticket(): Promise<Ticket> {
    this.tickets += 1;
    if (this.ticketError) return Promise.reject(this.ticketError);
    return Promise.resolve({ ticket: `t${this.tickets}`, expires_in_seconds: 30, role: 'editor' });
  }
}

/** Lets time and everything due in it pass. */
export async function settle(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}
