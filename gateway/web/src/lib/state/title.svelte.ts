// The tab's title, with how many notifications were not seen: a tab in the background is read by its title alone.

import { live } from './live.svelte';

class Title {
  #text = $state('Berth');

  set(text: string): void {
    this.#text = text;
  }

  /** To be called in an effect. */
  show(): void {
    document.title = live.unread > 0 ? `(${live.unread}) ${this.#text}` : this.#text;
  }
}

export const title = new Title();
