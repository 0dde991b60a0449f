// How a screen of a given size is shown in an area that was not made for it. Pure arithmetic.

import type { Size } from './protocol';

/** Smaller text can't be read; what does not fit then is panned to. */
export const LEAST_FONT_SIZE = 6;

export interface Box {
  width: number;
  height: number;
}

/**
 * The largest size of text, of at most `preferred`, at which the whole screen fits into the area; if none that can
 * be read does, the smallest of those. `cell` is a cell's box at the size `measured`, and grows in proportion.
 */
export function fontSizeFor(screen: Size, area: Box, cell: Box, measured: number, preferred: number): number {
  const perPixel = { width: cell.width / measured, height: cell.height / measured };
  const across = area.width / (screen.columns * perPixel.width);
  const down = area.height / (screen.rows * perPixel.height);
  // In halves of a pixel; what arithmetic loses of one that fits exactly is given back.
  const fits = Math.floor(Math.min(across, down) * 2 + 1e-6) / 2;
  return Number.isFinite(fits) ? Math.max(LEAST_FONT_SIZE, Math.min(preferred, fits)) : preferred;
}

/** The screen that fills the area with text of the size `wanted`. */
export function screenFor(area: Box, cell: Box, measured: number, wanted: number): Size {
  const scale = wanted / measured;
  return {
    columns: Math.max(2, Math.floor(area.width / (cell.width * scale))),
    rows: Math.max(1, Math.floor(area.height / (cell.height * scale))),
  };
}

/** Where to scroll to, along one axis, so that `from` to `to` is in sight; as little as that takes. */
export function scrollToShow(from: number, to: number, scrolled: number, room: number): number {
  if (from < scrolled) return Math.max(0, from);
  if (to > scrolled + room) return to - room;
  return scrolled;
}
