// Fingers on the terminal: one that moves up or down turns the wheel (tmux scrolls its history with it), one that
// moves aside pans a screen that is wider than the glass, two that part or close set the size of the text. A tap is left to the terminal, whose field opens the keyboard.

export interface TouchEvents {
  /** Turns the wheel by pixels, downwards if positive, at this place. */
  onScroll: (pixels: number, x: number, y: number) => void;
  /** Moves the screen under the glass by pixels, to the left if positive. */
  onPan: (pixels: number) => void;
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
  #along: 'down' | 'aside' | null = null;
  #apart = 0;

  constructor(readonly events: TouchEvents) {}

  start(fingers: readonly Finger[]): void {
    const [first, second] = fingers;
    this.#from = first && !second ? first : null;
    this.#along = null;
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
    const down = this.#from.clientY - first.clientY;
    const aside = this.#from.clientX - first.clientX;
    if (Math.max(Math.abs(down), Math.abs(aside)) > SLACK_PX)
      this.#along ??= Math.abs(down) >= Math.abs(aside) ? 'down' : 'aside';
    if (this.#along === null) return false;
    if (this.#along === 'down') this.events.onScroll(down, first.clientX, first.clientY);
    else this.events.onPan(aside);
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
