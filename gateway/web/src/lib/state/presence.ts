// Whether somebody is really at this page: visible and in front is not enough, since a desk is left with its pages open.
// What is seen is taken off every other device, so this must not be guessed.

/** How long after a movement somebody is taken to be there. */
const PRESENT_MS = 60_000;

const SIGNS = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart'] as const;

export class Presence {
  #lastSign = -Infinity;

  /** Whether somebody looks at the page now. */
  get looking(): boolean {
    const front = document.visibilityState === 'visible' && document.hasFocus();
    return front && performance.now() - this.#lastSign < PRESENT_MS;
  }

  /** Calls back at each sign of somebody's being there; returns the function that stops it. */
  listen(onSign: () => void): () => void {
    const sign = () => {
      this.#lastSign = performance.now();
      onSign();
    };
    for (const name of SIGNS) document.addEventListener(name, sign, { capture: true, passive: true });
    return () => {
      for (const name of SIGNS) document.removeEventListener(name, sign, { capture: true });
    };
  }
}
