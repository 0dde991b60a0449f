// One terminal as its page knows it: joins the screen (xterm.js), the connection that keeps it fed, and local
// echo, and holds what the bars and dialogs around them show.

import { getTicket, terminalUrl } from '../api/client';
import type { Uploaded } from '../api/types';
import { uploadFile } from '../api/upload';
import { browser, isBoolean, isNumber, isString, recall, remember, tab } from '../preferences';
import { panFor } from '../viewport';
import { onCut, onHidden, onWake } from '../wake';
import { type CopyRequest, readClipboard, writeClipboard } from './clipboard';
import { type Lease, type Present, drawClientId, isClientId } from './company';
import { TerminalConnection } from './connection';
import { type Brought, pastedName, typedPaths } from './files';
import { type ExtraKey, isTyped, withAlt, withCtrl } from './keys';
import { Notes } from './notes.svelte';
import { cleanPaste, pressesEnter } from './paste';
import { LocalEcho } from './predict/echo';
import { Screen } from './screen';
import type { Snippet } from './snippets';
import type { TerminalStatus } from './status';
import { type Action, DEFAULT_PREFIX, keysFor, promptKeys } from './tmux';
import { TmuxPrompt, promptIsOpen } from './tmux-prompt';
import { Uploads } from './uploads.svelte';

/** How long the hint about dropped keys stays. */
const HINT_MS = 2_500;

export interface DeskEvents {
  onLeave: () => void;
  onSignedOut: () => void;
}

/** This tab, the same after a reload. */
function clientId(): string {
  const known = recall(tab, 'client', isClientId, '');
  if (known !== '') return known;
  const drawn = drawClientId();
  remember(tab, 'client', drawn);
  return drawn;
}

export class Desk {
  status = $state.raw<TerminalStatus>({
    state: 'connecting',
    message: null,
    requestId: null,
    roundTripMs: null,
  });
  /** Keys of the bar that wait for the next one. */
  sticky = $state({ ctrl: false, alt: false });
  /** Something typed went nowhere, a moment ago. */
  dropped = $state(false);
  /** Text that waits for the user's word before it is pasted. */
  pasting = $state.raw<string | null>(null);
  selected = $state(false);
  /** Everybody at the session, this page too. */
  company = $state.raw<Present[]>([]);
  /** Whose size the session has, once that is known. */
  lease = $state.raw<Lease | null>(null);
  /** This page took the size from another, and can give it back. */
  took = $state(false);
  /** The user wants to watch only. */
  watching = $state(false);
  /** The last ticket was one to watch with. */
  viewer = $state(false);
  predict = $state(recall(browser, 'local-echo', isBoolean, true));
  prefix = $state(recall(browser, 'tmux-prefix', isString, DEFAULT_PREFIX));
  readonly notes = new Notes();
  readonly uploads: Uploads;

  readonly #container: HTMLElement;
  readonly #screen: Screen;
  readonly #connection: TerminalConnection;
  readonly #echo: LocalEcho;
  readonly #prompt: TmuxPrompt;
  readonly #unwatch: () => void;
  #hintTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(session: string, container: HTMLElement, events: DeskEvents) {
    this.#container = container;
    this.uploads = new Uploads({
      send: ({ name, file }, options) => uploadFile(session, file, name, options),
      onDone: (files) => this.#typePaths(files),
      onSignedOut: () => events.onSignedOut(),
    });
    this.#screen = new Screen(container, recall(browser, 'font-size', isNumber, 0) || null, {
      onInput: (data) => this.input(data),
      onResize: (wanted) => {
        this.#echo.reset();
        this.#connection.resize(wanted);
      },
      onLeave: () => events.onLeave(),
      onPaste: (text) => this.askToPaste(text),
      onFiles: (brought) => this.upload(brought, true),
      onCopy: (request) => void this.#copyForBox(request),
      onCopyKey: () => void this.copySelection(),
      onSelect: (selected) => (this.selected = selected),
      onFontSize: (size) => remember(browser, 'font-size', size ?? 0),
      onDrawn: () => this.keepCursorVisible(),
    });
    this.#echo = new LocalEcho(this.#screen.glass, (guesses, cursor) =>
      this.#screen.drawGuesses(guesses, cursor),
    );
    this.#echo.enabled = this.predict;
    this.#prompt = new TmuxPrompt(
      () => promptIsOpen(this.#screen.glass, this.#screen.size.rows),
      (keys) => this.input(keys),
    );
    this.#connection = new TerminalConnection({
      size: this.#screen.wanted,
      getTicket: async (signal) => {
        const ticket = await getTicket(session, { client: clientId(), watch: this.watching }, signal);
        this.viewer = ticket.role === 'viewer';
        return ticket;
      },
      openSocket: (protocols) => new WebSocket(terminalUrl(session), protocols),
      onStatus: (status) => {
        this.status = status;
        this.#echo.roundTrip(status.roundTripMs);
      },
      onReset: () => {
        this.#echo.reset();
        this.#screen.reset();
      },
      onOutput: (bytes, drawn) =>
        this.#screen.write(bytes, () => {
          drawn();
          this.#echo.drawn();
          this.#prompt.drawn();
        }),
      onEchoed: (upTo) => this.#echo.echoed(upTo),
      onLease: (lease) => this.#follow(lease),
      onPresence: (clients) => (this.company = clients),
      onSignedOut: () => events.onSignedOut(),
    });
    this.#connection.start();
    this.#screen.focus();
    const unwatch = [
      onWake(() => this.retry()),
      onCut(() => this.#connection.cut()),
      onHidden((hidden) => this.#connection.hidden(hidden)),
    ];
    this.#unwatch = () => unwatch.forEach((stop) => stop());
  }

  close(): void {
    this.#unwatch();
    clearTimeout(this.#hintTimer);
    this.notes.clear();
    this.uploads.close();
    if (this.took) this.#connection.lead(false);
    this.#connection.stop();
    this.#echo.reset();
    this.#screen.dispose();
  }

  retry(): void {
    this.#connection.nudge();
  }

  focus(): void {
    this.#screen.focus();
  }

  /** Sends what was typed, pressed or pasted, or hints that it went nowhere. */
  input(data: string | Uint8Array): void {
    const typed = typeof data === 'string' && isTyped(data);
    if (this.viewer) {
      if (typed) this.notes.show({ text: 'You are watching only.' });
      return;
    }
    const bytes = typed ? this.#withSticky(data) : data;
    if (this.#connection.send(bytes)) {
      if (typeof bytes === 'string' && typed) this.#echo.typed(bytes, this.#connection.sent);
    } else if (typed) {
      this.#hint();
    }
  }

  press(key: ExtraKey): void {
    const sequence = this.#screen.sequence(key, this.sticky);
    this.sticky = { ctrl: false, alt: false };
    this.input(sequence);
    this.focus();
  }

  act(action: Action): void {
    this.input(keysFor(action, this.prefix));
    this.focus();
  }

  /** Gives tmux a command, through its own prompt. */
  async command(line: string): Promise<void> {
    const sent = await this.#prompt.run(promptKeys(this.prefix), line);
    if (!sent) this.notes.show({ text: 'tmux did not answer. Is its prefix another than the menu says?' });
  }

  send(snippet: Snippet): void {
    this.#screen.paste(snippet.text);
    if (snippet.enter) this.input('\r');
    this.focus();
  }

  zoom(steps: number | null): void {
    this.#screen.zoom(steps);
  }

  /** Takes the session's size, or gives it back to whoever had it. */
  lead(take: boolean): void {
    this.took = take;
    this.#connection.lead(take);
    this.focus();
  }

  /** Goes on by watching only, or with every right that there is. */
  setWatching(on: boolean): void {
    this.watching = on;
    this.#connection.reconnect();
    this.focus();
  }

  setPredict(on: boolean): void {
    this.predict = on;
    this.#echo.enabled = on;
    remember(browser, 'local-echo', on);
  }

  setPrefix(letter: string): void {
    this.prefix = letter;
    remember(browser, 'tmux-prefix', letter);
  }

  /** Pastes, after asking if it would press Enter. */
  askToPaste(raw: string): void {
    const text = cleanPaste(raw);
    if (pressesEnter(text) && !recall(tab, 'paste-lines', isBoolean, false)) this.pasting = text;
    else if (text !== '') this.#screen.paste(text);
  }

  /** The user's word on what waits to be pasted. */
  answerPaste(yes: boolean, always: boolean): void {
    const text = this.pasting;
    this.pasting = null;
    if (yes && always) remember(tab, 'paste-lines', true);
    if (yes && text !== null) this.#screen.paste(text);
    this.focus();
  }

  async pasteFromClipboard(): Promise<void> {
    const text = await readClipboard();
    if (text === null)
      this.notes.show({ text: 'The browser keeps the clipboard to itself: paste with its own menu.' });
    else this.askToPaste(text);
    if (this.pasting === null) this.focus();
  }

  /** Uploads what was pasted, dropped or chosen; the paths are typed when all is there. */
  upload({ files, folders }: Brought, pasted = false): void {
    if (this.viewer) {
      this.notes.show({ text: 'You are watching only.' });
      return;
    }
    if (folders > 0) this.notes.show({ text: 'Folders can’t be uploaded: only files.' });
    this.uploads.add(files.map((file) => ({ name: pasted ? pastedName(file) : file.name, file })));
    this.focus();
  }

  async copySelection(): Promise<void> {
    const copied = await writeClipboard(this.#screen.selection);
    this.notes.show({ text: copied ? 'Copied.' : 'The browser did not allow copying.' });
    if (copied) this.#screen.clearSelection();
    this.focus();
  }

  /** Moves the terminal up as far as an on-screen keyboard would hide the cursor. */
  keepCursorVisible(): void {
    const room = (this.#container.parentElement?.clientHeight ?? Infinity) - this.#container.offsetTop;
    const covered = this.#container.clientHeight > room + 1;
    const pan = covered ? panFor(this.#screen.cursorBottom, room) : 0;
    this.#container.style.transform = pan > 0 ? `translateY(-${pan}px)` : '';
  }

  #follow(lease: Lease): void {
    this.lease = lease;
    if (!lease.mine) this.took = false;
    this.#echo.reset();
    this.#screen.follow(lease.mine ? null : lease);
  }

  #withSticky(data: string): string {
    const { ctrl, alt } = this.sticky;
    if (!ctrl && !alt) return data;
    this.sticky = { ctrl: false, alt: false };
    const controlled = ctrl ? withCtrl(data) : data;
    return alt ? withAlt(controlled) : controlled;
  }

  #typePaths(files: readonly Uploaded[]): void {
    const [first] = files;
    const what = files.length === 1 && first ? first.path : `${files.length} files`;
    const text = typedPaths(files.map((file) => file.path));
    if (text !== null && this.status.state === 'live') {
      this.#screen.paste(text);
      this.notes.show({ text: `Uploaded ${what}.` });
    } else {
      this.notes.show({ text: `Uploaded ${what}. The path was not typed into the terminal.` });
    }
  }

  async #copyForBox(request: CopyRequest): Promise<void> {
    if ('refused' in request) {
      if (request.refused === 'too long')
        this.notes.show({ text: 'The box wanted to copy more than 100 kB: not copied.' });
      return;
    }
    const { text } = request;
    const size = `${text.length} characters`;
    if (document.hasFocus() && (await writeClipboard(text))) {
      this.notes.show({ text: `Copied ${size} from the box.` });
      return;
    }
    const run = () => void writeClipboard(text).then((done) => done && this.notes.show({ text: 'Copied.' }));
    this.notes.show({ text: `The box offers ${size} to copy.`, action: { label: 'Copy', run } });
  }

  #hint(): void {
    this.dropped = true;
    clearTimeout(this.#hintTimer);
    this.#hintTimer = setTimeout(() => (this.dropped = false), HINT_MS);
  }
}
