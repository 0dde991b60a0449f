// The one short note over the terminal: that something was copied, or what the browser won't do by itself.

export interface Note {
  text: string;
  action?: { label: string; run: () => void };
}

const SHOWN_MS = 3_500;
/** With something to press, there must be time to do it. */
const OFFERED_MS = 12_000;

export class Notes {
  current = $state.raw<Note | null>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;

  show(note: Note): void {
    this.current = note;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.clear(), note.action ? OFFERED_MS : SHOWN_MS);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.current = null;
  }
}
