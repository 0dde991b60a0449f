// What is dangerous wants a proof of the last minutes of who one is. Who has none is asked for it, and then what was
// wanted is done.

import { toApiError } from '../api/errors';

class Proof {
  #asked = $state.raw<((proved: boolean) => void) | null>(null);

  /** Whether somebody is to be asked now. */
  get wanted(): boolean {
    return this.#asked !== null;
  }

  /** Does something; if the gateway wants a proof first, asks for it and does it again. */
  async with<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (cause) {
      if (toApiError(cause).kind !== 'prove_again' || !(await this.#ask())) throw cause;
      return await act();
    }
  }

  answer(proved: boolean): void {
    this.#asked?.(proved);
    this.#asked = null;
  }

  #ask(): Promise<boolean> {
    this.answer(false);
    return new Promise((resolve) => (this.#asked = resolve));
  }
}

export const proof = new Proof();
