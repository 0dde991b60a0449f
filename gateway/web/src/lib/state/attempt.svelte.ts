// What a component does at the user's word, one thing at a time: whether it is at it, and how it failed.

import type { ApiError } from '../api/errors';
import { shownError } from './auth.svelte';

export class Attempt {
  #busy = $state(false);
  #error = $state.raw<ApiError | null>(null);

  get busy(): boolean {
    return this.#busy;
  }

  get error(): ApiError | null {
    return this.#error;
  }

  async run(act: () => Promise<unknown>): Promise<void> {
    this.#busy = true;
    this.#error = null;
    try {
      await act();
    } catch (cause) {
      this.#error = shownError(cause);
    } finally {
      this.#busy = false;
    }
  }
}
