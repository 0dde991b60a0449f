// A WebSocket for tests: records what was sent, and lets the test play the gateway.

import type { SocketLike } from '../lib/terminal/link';

export class FakeSocket implements SocketLike {
  binaryType = 'blob';
  onopen: SocketLike['onopen'] = null;
  onmessage: SocketLike['onmessage'] = null;
  onclose: SocketLike['onclose'] = null;
  readonly sent: (string | Uint8Array)[] = [];
  closed = false;

  constructor(readonly protocols: string[]) {}

  send(data: string | Uint8Array): void {
    if (this.closed) throw new Error('sent after close');
    this.sent.push(data);
  }

  close(): void {
    this.closed = true;
  }

  open(): void {
    this.onopen?.({} as Event);
  }

  output(text: string): void {
    this.#message(new TextEncoder().encode(`0${text}`).buffer);
  }

  say(message: unknown): void {
    this.#message(JSON.stringify(message));
  }

  end(code: number): void {
    this.onclose?.({ code } as CloseEvent);
  }

  #message(data: unknown): void {
    this.onmessage?.({ data } as MessageEvent);
  }

  /** The binary messages sent so far, as text. */
  get binary(): string[] {
    return this.sent.filter((data) => typeof data !== 'string').map((data) => new TextDecoder().decode(data));
  }

  /** The JSON messages of one type sent so far. */
  texts(type: string): Record<string, unknown>[] {
    return this.sent
      .filter((data) => typeof data === 'string')
      .map((data) => JSON.parse(data) as Record<string, unknown>)
      .filter((message) => message['type'] === type);
  }
}
