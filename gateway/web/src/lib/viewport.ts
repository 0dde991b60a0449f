// Publishes the part of the page that is really visible as CSS variables. `100dvh` does not shrink when a
// phone's on-screen keyboard opens; `visualViewport` does, and the page must end above the keyboard. The terminal
// itself keeps its size then, or every program would redraw each time: it is moved up instead.

/** Less than this is a browser's bar that comes or goes, not a keyboard. */
const LEAST_KEYBOARD_PX = 120;

/** How much of the layout the keyboard covers. */
export function keyboardHeight(layoutHeight: number, visibleHeight: number): number {
  const covered = layoutHeight - visibleHeight;
  return covered >= LEAST_KEYBOARD_PX ? covered : 0;
}

/** How far up something must be moved so that this place in it is visible. */
export function panFor(place: number, visibleHeight: number): number {
  return Math.max(0, Math.ceil(place - visibleHeight));
}

export function trackViewport(root: HTMLElement): () => void {
  const viewport = window.visualViewport;
  if (!viewport) return () => undefined;

  const publish = () => {
    // Zoomed in by fingers, the visible part is small but the layout should stay as it is.
    const zoomed = viewport.scale > 1.01;
    const keyboard = zoomed ? 0 : keyboardHeight(root.clientHeight, viewport.height);
    root.style.setProperty('--visible-height', zoomed ? '100dvh' : `${viewport.height}px`);
    root.style.setProperty('--visible-top', zoomed ? '0px' : `${viewport.offsetTop}px`);
    root.style.setProperty('--keyboard', `${keyboard}px`);
  };
  publish();
  viewport.addEventListener('resize', publish);
  viewport.addEventListener('scroll', publish);
  return () => {
    viewport.removeEventListener('resize', publish);
    viewport.removeEventListener('scroll', publish);
    for (const name of ['--visible-height', '--visible-top', '--keyboard']) root.style.removeProperty(name);
  };
}
