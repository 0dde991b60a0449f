// Files on their way to the box, one after the other, and what became of them.

import { MAX_UPLOAD, type UploadOptions, tooLarge } from '../api/upload';
import { type ApiError, toApiError } from '../api/errors';
import type { Uploaded } from '../api/types';

export interface NamedFile {
  name: string;
  file: Blob;
}

/** The file that is on its way. */
export interface Progress {
  name: string;
  sent: number;
  total: number;
  /** Which of how many it is, beginning with 1. */
  number: number;
  count: number;
}

export interface Failed {
  name: string;
  error: ApiError;
}

export interface UploadsEvents {
  send: (file: NamedFile, options: Pick<UploadOptions, 'signal' | 'onProgress'>) => Promise<Uploaded>;
  /** All that were asked for are done; these are there. */
  onDone: (files: Uploaded[]) => void;
  onSignedOut: () => void;
}

export class Uploads {
  progress = $state.raw<Progress | null>(null);
  failures = $state.raw<readonly Failed[]>([]);

  readonly #events: UploadsEvents;
  #queue: NamedFile[] = [];
  /** Files that were asked for since the last time all were done. */
  #count = 0;
  #cancel: AbortController | null = null;
  #closed = false;

  constructor(events: UploadsEvents) {
    this.#events = events;
  }

  /** Sends files after those that are on their way. */
  add(files: readonly NamedFile[]): void {
    const fits = files.filter(({ file }) => file.size <= MAX_UPLOAD);
    const refused = files.filter(({ file }) => file.size > MAX_UPLOAD);
    const before = this.#cancel ? this.failures : [];
    this.failures = [...before, ...refused.map(({ name }) => ({ name, error: tooLarge() }))];
    this.#queue.push(...fits);
    this.#count += fits.length;
    if (!this.#cancel && fits.length > 0) void this.#run();
    else if (this.progress) this.progress = { ...this.progress, count: this.#count };
  }

  /** Ends what is on its way, and forgets what waits. */
  cancel(): void {
    this.#queue = [];
    this.#cancel?.abort();
  }

  /** Ends everything, and tells nobody. */
  close(): void {
    this.#closed = true;
    this.cancel();
  }

  dismiss(): void {
    this.failures = [];
  }

  async #run(): Promise<void> {
    const cancel = new AbortController();
    this.#cancel = cancel;
    const done: Uploaded[] = [];
    let number = 0;
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      number += 1;
      const { name, file } = next;
      const show = (sent: number) =>
        (this.progress = {
          name,
          sent: Math.min(sent, file.size),
          total: file.size,
          number,
          count: this.#count,
        });
      show(0);
      try {
        done.push(await this.#events.send(next, { signal: cancel.signal, onProgress: show }));
      } catch (thrown) {
        const error = toApiError(thrown);
        if (error.signedOut) this.#events.onSignedOut();
        if (error.kind !== 'cancelled') this.failures = [...this.failures, { name, error }];
      }
    }
    this.#cancel = null;
    this.#count = 0;
    this.progress = null;
    if (done.length > 0 && !this.#closed) this.#events.onDone(done);
  }
}
