// Tells the gateway how much output has been drawn, so that it can stop reading the box when this browser
// falls behind. Counting only; the connection owns the timer and the socket. One meter per connection.

export const ACK_EVERY_BYTES = 64 * 1024;
export const ACK_EVERY_MS = 100;

export class AckMeter {
  #drawn = 0;
  #acked = 0;

  /** Counts output that xterm.js has finished drawing. */
  drawn(bytes: number): void {
    this.#drawn += bytes;
  }

  /** What has been drawn so far. */
  get total(): number {
    return this.#drawn;
  }

  /** Enough has gathered to be told at once. */
  get due(): boolean {
    return this.#drawn - this.#acked >= ACK_EVERY_BYTES;
  }

  /** Something has been drawn that was not told yet. */
  get pending(): boolean {
    return this.#drawn > this.#acked;
  }

  /** The total to tell now; it then counts as told. */
  take(): number {
    this.#acked = this.#drawn;
    return this.#acked;
  }
}
