// Files that are pasted, dropped or chosen: which there are, what they are called, and how the path of one is
// typed.

import { cleanPaste } from './paste';

/** What a paste or a drop brings. */
export interface Brought {
  files: File[];
  /** Folders, which can't be sent. */
  folders: number;
}

/** The part of `DataTransfer` that is used, so that tests can stand in for it. */
export interface Transfer {
  types: readonly string[];
  items: Iterable<
    Pick<DataTransferItem, 'kind' | 'getAsFile'> & {
      webkitGetAsEntry?: () => { isDirectory: boolean } | null;
    }
  >;
}

export function filesOf(data: Transfer | null): Brought {
  const brought: Brought = { files: [], folders: 0 };
  for (const item of data?.items ?? []) {
    if (item.kind !== 'file') continue;
    const file = item.webkitGetAsEntry?.()?.isDirectory ? null : item.getAsFile();
    if (file) brought.files.push(file);
    else brought.folders += 1;
  }
  return brought;
}

/**
 * What a paste is of: its files, if there are any. Office programs put a picture of the text beside the text;
 * there the text is meant.
 */
export function pastedFiles(data: Transfer | null): Brought | null {
  const types = data?.types ?? [];
  if (types.includes('text/plain') && types.includes('text/html')) return null;
  const brought = filesOf(data);
  return brought.files.length + brought.folders > 0 ? brought : null;
}

const two = (number: number) => String(number).padStart(2, '0');

/** The name to upload a pasted file under: browsers call every pasted image the same. */
export function pastedName(file: Pick<File, 'name' | 'type'>, now = new Date()): string {
  const { name, type } = file;
  if (name !== '' && !(type.startsWith('image/') && /^image\.\w+$/.test(name))) return name;
  const extension = /\.(\w+)$/.exec(name)?.[1] ?? /^image\/(\w+)/.exec(type)?.[1] ?? 'png';
  const date = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-');
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join('');
  return `pasted-${date}-${time}.${extension}`;
}

/** A word as every shell reads it. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Paths as they are typed, with a blank behind; null when one would press keys or can't be shown as it is. */
export function typedPaths(paths: readonly string[]): string | null {
  const text = paths.map((path) => `${shellQuote(path)} `).join('');
  return text === cleanPaste(text) && !/[\n\t]/.test(text) ? text : null;
}
