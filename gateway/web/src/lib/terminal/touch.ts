// Fingers on the terminal: one that moves up or down turns the wheel (tmux scrolls its history with it), two that
// part or close set the size of the text. A tap is left to the terminal, whose field opens the keyboard.

export interface TouchEvents {
  /** Turns the wheel by pixels, downwards if positive, at this place. */
  onScroll: (pixels: number, x: number, y: number) => void;
  onPinchStart: () => void;
  /** Fingers are this many times as far apart as when the pinch began. */
  onPinch: (ratio: number) => void;
}

/** Less is a tap by an unsteady finger. */
const SLACK_PX = 8;

interface Finger {
  clientX: number;
  clientY: number;
}

/** Fed with the fingers on the glass; each answer says whether the browser should keep out of it. */
export class Gesture {
  #from: Finger | null = null;
  #scrolling = false;
  #apart = 0;

  constructor(readonly events: TouchEvents) {}

  start(fingers: readonly Finger[]): void {
    const [first, second] = fingers;
    this.#from = first && !second ? first : null;
    this.#scrolling = false;
    this.#apart = first && second ? distance(first, second) : 0;
    if (this.#apart > 0) this.events.onPinchStart();
  }

  move(fingers: readonly Finger[]): boolean {
    const [first, second] = fingers;
    if (first && second && this.#apart > 0) {
      this.events.onPinch(distance(first, second) / this.#apart);
      return true;
    }
    if (!first || second || !this.#from) return false;
    const pixels = this.#from.clientY - first.clientY;
    this.#scrolling ||= Math.abs(pixels) > SLACK_PX;
    if (!this.#scrolling) return false;
    this.events.onScroll(pixels, first.clientX, first.clientY);
    this.#from = first;
    return true;
  }
}

function distance(a: Finger, b: Finger): number {
  return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
}

/** Follows the fingers on an element. */
export function followTouches(element: HTMLElement, events: TouchEvents): () => void {
  const gesture = new Gesture(events);
  const onChange = (event: TouchEvent) => gesture.start([...event.touches]);
  const onMove = (event: TouchEvent) => {
    if (gesture.move([...event.touches])) event.preventDefault();
  };
  element.addEventListener('touchstart', onChange, { passive: true });
  element.addEventListener('touchend', onChange, { passive: true });
  element.addEventListener('touchcancel', onChange, { passive: true });
  element.addEventListener('touchmove', onMove, { passive: false });
  return () => {
    element.removeEventListener('touchstart', onChange);
    element.removeEventListener('touchend', onChange);
    element.removeEventListener('touchcancel', onChange);
    element.removeEventListener('touchmove', onMove);
  };
}
