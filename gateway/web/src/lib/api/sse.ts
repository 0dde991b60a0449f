// A parser for `text/event-stream`, fed with pieces of text as they arrive. Pure: it holds only the line
// and the event that are not finished yet.

export interface SseEvent {
  event: string;
  data: string;
  id: string;
}

export class SseParser {
  #rest = '';
  #event = '';
  #data: string[] = [];
  #id = '';
  #afterCarriageReturn = false;

  /** Takes the next piece and returns the events that it completed. */
  push(piece: string): SseEvent[] {
    // A line may end with CR LF, and a piece may end between the two.
    let text = piece;
    if (this.#afterCarriageReturn && text.startsWith('\n')) text = text.slice(1);
    if (piece !== '') this.#afterCarriageReturn = piece.endsWith('\r');

    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop() ?? '';

    const events: SseEvent[] = [];
    for (const line of lines) {
      const event = this.#line(line);
      if (event) events.push(event);
    }
    return events;
  }

  #line(line: string): SseEvent | null {
    if (line === '') return this.#dispatch();
    if (line.startsWith(':')) return null;

    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.#event = value;
    else if (field === 'data') this.#data.push(value);
    else if (field === 'id') this.#id = value;
    return null;
  }

  #dispatch(): SseEvent | null {
    const event = { event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id };
    const hasData = this.#data.length > 0;
    this.#event = '';
    this.#data = [];
    return hasData ? event : null;
  }
}
