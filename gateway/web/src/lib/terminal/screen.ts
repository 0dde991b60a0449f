// xterm.js, set up the way Berth uses it, behind the few calls the terminal page needs. The DOM renderer is
// kept: it needs nothing from the content security policy, and tests and assistive tools can read its text.

import { FitAddon } from '@xterm/addon-fit';
import { Unicode11Addon } from '@xterm/addon-unicode11';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';

import { type CopyRequest, parseOsc52 } from './clipboard';
import { type ExtraKey, type Sticky, pageKey, sequenceOf } from './keys';
import { type Glass, type Guess, type Position } from './predict/glass';
import { Overlay } from './predict/overlay';
import { type Size, bytesOfBinaryString } from './protocol';
import { FONT_FAMILY, OVERLAY_COLORS, THEME } from './theme';
import { followTouches } from './touch';
import { XtermGlass } from './xterm-glass';

/** Long enough that dragging a window edge sends few sizes: each one makes every program redraw. */
const FIT_AFTER_MS = 120;
const FONT_SIZES = { least: 6, most: 40 };
/** ESC c, a full reset that takes its turn among the writes, unlike `Terminal.reset()`. */
const FULL_RESET = '\x1bc';

export interface ScreenEvents {
  onInput: (data: string | Uint8Array) => void;
  onResize: (size: Size) => void;
  /** The user asked to leave the terminal by keyboard (Tab belongs to the terminal). */
  onLeave: () => void;
  /** Text is to be pasted; nothing is, unless `paste` is called. */
  onPaste: (text: string) => void;
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

  constructor(container: HTMLElement, fontSize: number | null, events: ScreenEvents) {
    const terminal = new Terminal({
      // The width tables of the Unicode addon are still "proposed"; without them emoji misalign tmux's lines.
      allowProposedApi: true,
      cursorBlink: false,
      fontFamily: FONT_FAMILY,
      fontSize: fontSize ?? defaultFontSize(container),
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
    terminal.onRender(() => events.onDrawn());
    terminal.parser.registerOscHandler(52, (payload) => {
      events.onCopy(parseOsc52(payload));
      return true;
    });
    // Before xterm.js, which would send what it gets.
    container.addEventListener('paste', this.#onPaste, { capture: true });
    terminal.open(container);
    terminal.textarea?.setAttribute('aria-description', 'Press Shift F6 to leave the terminal.');
    this.#fit.fit();
    // From here on: the size to begin with is asked for.
    terminal.onResize(({ cols, rows }) => events.onResize({ columns: cols, rows }));

    this.glass = new XtermGlass(terminal);
    this.#overlay = new Overlay(this.#surface, OVERLAY_COLORS);
    this.#observer = new ResizeObserver(() => this.#fitSoon());
    this.#observer.observe(container);
    let pinchedFrom = this.fontSize;
    this.#untouch = followTouches(container, {
      onScroll: (pixels, x, y) => this.#turnWheel(pixels, x, y),
      onPinchStart: () => (pinchedFrom = this.fontSize),
      onPinch: (ratio) => this.#chooseFontSize(pinchedFrom * ratio),
    });
  }

  get size(): Size {
    return { columns: this.#terminal.cols, rows: this.#terminal.rows };
  }

  get fontSize(): number {
    return this.#terminal.options.fontSize ?? defaultFontSize(this.#container);
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
    this.#events.onPaste(event.clipboardData?.getData('text/plain') ?? '');
  };

  #turnWheel(deltaY: number, clientX: number, clientY: number): void {
    const place = { clientX, clientY, bubbles: true, cancelable: true };
    this.#surface.dispatchEvent(new WheelEvent('wheel', { deltaY, ...place }));
  }

  #chooseFontSize(wanted: number | null): void {
    const { least, most } = FONT_SIZES;
    const size = wanted === null ? null : Math.min(most, Math.max(least, Math.round(wanted)));
    const next = size ?? defaultFontSize(this.#container);
    if (next === this.fontSize && size !== null) return;
    this.#terminal.options.fontSize = next;
    this.#events.onFontSize(size);
    this.#fitSoon();
  }

  #fitSoon(): void {
    clearTimeout(this.#fitTimer);
    this.#fitTimer = setTimeout(() => this.#fit.fit(), FIT_AFTER_MS);
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
