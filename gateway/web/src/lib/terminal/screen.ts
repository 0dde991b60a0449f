// xterm.js, set up the way Berth uses it, behind the few calls the terminal page needs. The DOM renderer is
// kept: it needs nothing from the content security policy, and tests and assistive tools can read its text.

import { FitAddon } from '@xterm/addon-fit';
import { Unicode11Addon } from '@xterm/addon-unicode11';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';

import { type CopyRequest, parseOsc52 } from './clipboard';
import { type Brought, pastedFiles } from './files';
import { type Box, LEAST_FONT_SIZE, fontSizeFor, screenFor, scrollToShow } from './grid';
import { type ExtraKey, type Sticky, pageKey, sequenceOf } from './keys';
import { type Glass, type Guess, type Position } from './predict/glass';
import { Overlay } from './predict/overlay';
import { type Size, bytesOfBinaryString, sameSize } from './protocol';
import { FONT_FAMILY, OVERLAY_COLORS, THEME } from './theme';
import { followTouches } from './touch';
import { XtermGlass } from './xterm-glass';

/** Long enough that dragging a window edge sends few sizes: each one makes every program redraw. */
const FIT_AFTER_MS = 120;
const FONT_SIZES = { least: LEAST_FONT_SIZE, most: 40 };
/** ESC c, a full reset that takes its turn among the writes, unlike `Terminal.reset()`. */
const FULL_RESET = '\x1bc';

export interface ScreenEvents {
  onInput: (data: string | Uint8Array) => void;
  /** The screen that this page would like to have may be another now. */
  onResize: (wanted: Size) => void;
  /** The user asked to leave the terminal by keyboard (Tab belongs to the terminal). */
  onLeave: () => void;
  /** Text is to be pasted; nothing is, unless `paste` is called. */
  onPaste: (text: string) => void;
  /** What was pasted is no text. */
  onFiles: (brought: Brought) => void;
  /** A program on the box wants something of the clipboard. */
  onCopy: (request: CopyRequest) => void;
  /** Ctrl-Shift-C or Cmd-Shift-C on a selection. */
  onCopyKey: () => void;
  onSelect: (selected: boolean) => void;
  /** The user set the size of the text; null for the default. */
  onFontSize: (size: number | null) => void;
  /** Something was drawn, the cursor may have moved. */
  onDrawn: () => void;
}

export class Screen {
  readonly glass: Glass;
  readonly #terminal: Terminal;
  readonly #events: ScreenEvents;
  readonly #fit = new FitAddon();
  readonly #overlay: Overlay;
  readonly #observer: ResizeObserver;
  readonly #untouch: () => void;
  readonly #container: HTMLElement;
  #fitTimer: ReturnType<typeof setTimeout> | undefined;
  /** The size of text that the user chose, or the default. */
  #preferred: number;
  /** The size of the session's screen, while another client decides it. */
  #shared: Size | null = null;
  /** The size of text that the user chose to see a part of that. */
  #zoomed: number | null = null;
  #cursorShown = '';

  constructor(container: HTMLElement, fontSize: number | null, events: ScreenEvents) {
    this.#preferred = fontSize ?? defaultFontSize(container);
    const terminal = new Terminal({
      // The width tables of the Unicode addon are still "proposed"; without them emoji misalign tmux's lines.
      allowProposedApi: true,
      cursorBlink: false,
      fontFamily: FONT_FAMILY,
      fontSize: this.#preferred,
      lineHeight: 1,
      minimumContrastRatio: 1,
      // Where Shift frees the mouse from tmux elsewhere, it is Option on a Mac.
      macOptionClickForcesSelection: true,
      // tmux keeps the history; a second one here would only show stale frames.
      scrollback: 0,
      theme: THEME,
      linkHandler: { activate: (_event, target) => openAfterAsking(target) },
    });
    this.#terminal = terminal;
    this.#container = container;
    this.#events = events;
    terminal.loadAddon(this.#fit);
    terminal.loadAddon(new Unicode11Addon());
    terminal.unicode.activeVersion = '11';
    terminal.loadAddon(new WebLinksAddon((_event, target) => openInNewTab(target)));
    terminal.attachCustomKeyEventHandler((event) => this.#keyPressed(event));
    terminal.onData((data) => events.onInput(data));
    terminal.onBinary((data) => events.onInput(bytesOfBinaryString(data)));
    terminal.onSelectionChange(() => events.onSelect(terminal.hasSelection()));
    terminal.onRender(() => {
      this.#showCursor();
      events.onDrawn();
    });
    terminal.parser.registerOscHandler(52, (payload) => {
      events.onCopy(parseOsc52(payload));
      return true;
    });
    // Before xterm.js, which would send what it gets.
    container.addEventListener('paste', this.#onPaste, { capture: true });
    terminal.open(container);
    terminal.textarea?.setAttribute('aria-description', 'Press Shift F6 to leave the terminal.');
    this.#fit.fit();
    this.glass = new XtermGlass(terminal);
    this.#overlay = new Overlay(this.#surface, OVERLAY_COLORS);
    this.#observer = new ResizeObserver(() => this.#fitSoon());
    this.#observer.observe(container);
    let pinchedFrom = this.fontSize;
    this.#untouch = followTouches(container, {
      onScroll: (pixels, x, y) => this.#turnWheel(pixels, x, y),
      onPan: (pixels) => (container.scrollLeft += pixels),
      onPinchStart: () => (pinchedFrom = this.fontSize),
      onPinch: (ratio) => this.#chooseFontSize(pinchedFrom * ratio),
    });
  }

  get size(): Size {
    return { columns: this.#terminal.cols, rows: this.#terminal.rows };
  }

  /** The screen that this page would have if it were the only one. */
  get wanted(): Size {
    if (!this.#shared) return this.size;
    return screenFor(this.#area, this.#cell, this.fontSize, this.#preferred);
  }

  get fontSize(): number {
    return this.#terminal.options.fontSize ?? this.#preferred;
  }

  /** Shows a screen of this size, which another client decided; null for one that fills the page. */
  follow(size: Size | null): void {
    const same = size && this.#shared ? sameSize(size, this.#shared) : size === this.#shared;
    if (same) return;
    this.#shared = size && { columns: size.columns, rows: size.rows };
    if (!size) this.#zoomed = null;
    this.#layOut();
  }

  /** Where the cursor's row ends, in pixels from the terminal's top. */
  get cursorBottom(): number {
    return ((this.glass.cursor.row + 1) * this.#surface.clientHeight) / this.#terminal.rows;
  }

  /** Draws output; `drawn` is called when it is on the screen. */
  write(bytes: Uint8Array, drawn: () => void): void {
    this.#terminal.write(bytes, drawn);
  }

  /** Clears everything, modes included, after what was written so far. */
  reset(): void {
    this.#terminal.write(FULL_RESET);
  }

  /** Draws guesses over what the box has drawn. */
  drawGuesses(guesses: readonly Guess[], cursor: Position | null): void {
    const metrics = { ...this.size, fontFamily: FONT_FAMILY, fontSize: this.fontSize };
    this.#overlay.draw(guesses, cursor, metrics);
  }

  /** What a key of the extra bar sends in the terminal's present modes. */
  sequence(key: ExtraKey, sticky: Sticky): string {
    return sequenceOf(key, { ...sticky, applicationCursor: this.#terminal.modes.applicationCursorKeysMode });
  }

  /** Sends text as a paste, marked as one if the box asked for that. */
  paste(text: string): void {
    this.#terminal.paste(text);
  }

  /** The selected text, without the blanks with which tmux fills a pane's lines. */
  get selection(): string {
    return this.#terminal.getSelection().replace(/ +$/gm, '');
  }

  clearSelection(): void {
    this.#terminal.clearSelection();
  }

  /** Larger or smaller by steps of a pixel; null for the default. */
  zoom(steps: number | null): void {
    this.#chooseFontSize(steps === null ? null : this.fontSize + steps);
  }

  focus(): void {
    this.#terminal.focus();
  }

  dispose(): void {
    clearTimeout(this.#fitTimer);
    this.#observer.disconnect();
    this.#untouch();
    this.#container.removeEventListener('paste', this.#onPaste, { capture: true });
    this.#overlay.remove();
    this.#terminal.dispose();
  }

  /** The element that the cells fill exactly. */
  get #surface(): HTMLElement {
    return this.#container.querySelector<HTMLElement>('.xterm-screen') ?? this.#container;
  }

  readonly #onPaste = (event: ClipboardEvent) => {
    event.preventDefault();
    event.stopPropagation();
    const brought = pastedFiles(event.clipboardData);
    if (brought) this.#events.onFiles(brought);
    else this.#events.onPaste(event.clipboardData?.getData('text/plain') ?? '');
  };

  #turnWheel(deltaY: number, clientX: number, clientY: number): void {
    const place = { clientX, clientY, bubbles: true, cancelable: true };
    this.#surface.dispatchEvent(new WheelEvent('wheel', { deltaY, ...place }));
  }

  #chooseFontSize(wanted: number | null): void {
    const { least, most } = FONT_SIZES;
    const size = wanted === null ? null : Math.min(most, Math.max(least, Math.round(wanted)));
    if (this.#shared) {
      this.#zoomed = size;
      this.#layOut();
      return;
    }
    const next = size ?? defaultFontSize(this.#container);
    if (next === this.fontSize && size !== null) return;
    this.#preferred = next;
    this.#terminal.options.fontSize = next;
    this.#events.onFontSize(size);
    this.#fitSoon();
  }

  get #area(): Box {
    return { width: this.#container.clientWidth, height: this.#container.clientHeight };
  }

  get #cell(): Box {
    const { clientWidth, clientHeight } = this.#surface;
    return { width: clientWidth / this.#terminal.cols, height: clientHeight / this.#terminal.rows };
  }

  #fitSoon(): void {
    clearTimeout(this.#fitTimer);
    this.#fitTimer = setTimeout(() => this.#layOut(), FIT_AFTER_MS);
  }

  #layOut(): void {
    const shared = this.#shared;
    if (shared) {
      const fitting = fontSizeFor(shared, this.#area, this.#cell, this.fontSize, this.#preferred);
      this.#terminal.options.fontSize = this.#zoomed ?? fitting;
      this.#terminal.resize(shared.columns, shared.rows);
    } else {
      this.#terminal.options.fontSize = this.#preferred;
      this.#container.scrollTo(0, 0);
      this.#fit.fit();
    }
    this.#events.onResize(this.wanted);
  }

  /** Keeps the cursor in sight where the screen is larger than the page, unless the user has panned away from it. */
  #showCursor(): void {
    const { row, column } = this.glass.cursor;
    const at = `${row}:${column}`;
    if (!this.#shared || at === this.#cursorShown) return;
    this.#cursorShown = at;
    const [container, cell, area] = [this.#container, this.#cell, this.#area];
    const across = [column * cell.width, (column + 1) * cell.width] as const;
    const down = [row * cell.height, (row + 1) * cell.height] as const;
    container.scrollLeft = scrollToShow(...across, container.scrollLeft, area.width);
    container.scrollTop = scrollToShow(...down, container.scrollTop, area.height);
  }

  /** Keys that are the page's and not the box's; false keeps xterm.js from handling them. */
  #keyPressed(event: KeyboardEvent): boolean {
    const act = pageKey(event, this.#terminal.hasSelection());
    if (act === null) return true;
    if (event.type === 'keydown') {
      if (act === 'leave') this.#events.onLeave();
      else if (act === 'copy') this.#events.onCopyKey();
      else this.zoom(act === 'default' ? null : act);
    }
    event.preventDefault();
    return false;
  }
}

function defaultFontSize(container: HTMLElement): number {
  return container.clientWidth < 600 ? 12 : 13;
}

function openInNewTab(target: string): void {
  window.open(target, '_blank', 'noopener,noreferrer');
}

/** For links whose text may say something other than where they lead. xterm.js passes only http(s) here. */
function openAfterAsking(target: string): void {
  if (window.confirm(`Open this address?\n\n${target}`)) openInNewTab(target);
}
