// Copying from the box: programs there, tmux among them, ask for it with OSC 52. One way only: a program may put
// text onto the user's clipboard, while the page is in front and with a hint to see; it never reads it.

/** The most that a program may copy. */
export const MAX_COPY_BYTES = 100 * 1024;

export type CopyRequest = { text: string } | { refused: 'query' | 'too long' | 'unreadable' };

/** The payload of OSC 52: `<selections>;<base64>`, or `?` in place of the text to ask for the clipboard. */
export function parseOsc52(payload: string): CopyRequest {
  const encoded = payload.slice(payload.indexOf(';') + 1);
  if (encoded === '?') return { refused: 'query' };
  if (encoded.length > Math.ceil(MAX_COPY_BYTES / 3) * 4) return { refused: 'too long' };
  try {
    const bytes = Uint8Array.from(atob(encoded), (unit) => unit.charCodeAt(0));
    if (bytes.length > MAX_COPY_BYTES) return { refused: 'too long' };
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text === '' ? { refused: 'unreadable' } : { text };
  } catch {
    return { refused: 'unreadable' };
  }
}

/** Whether it worked; browsers may want a click first, or offer no clipboard at all. */
export async function writeClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** The text there, or null when the browser won't tell. */
export async function readClipboard(): Promise<string | null> {
  try {
    return await navigator.clipboard.readText();
  } catch {
    return null;
  }
}
