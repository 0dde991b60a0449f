// An environment while it is edited: pure. A value of null is one that the gateway has and does not tell; it is
// kept unless another is typed.

import type { Environment, NewEnvironment } from '../api/environment';

export interface DraftVariable {
  key: number;
  name: string;
  value: string | null;
}

export interface DraftFile {
  key: number;
  destination: string;
  mode: string;
  secret: boolean;
  content: string | null;
}

export interface Draft {
  version: number;
  variables: DraftVariable[];
  files: DraftFile[];
  /** Without an address there is no repository. */
  repository: { url: string; directory: string; branch: string; token: string | null };
  script: string;
}

let keys = 0;

/** Tells rows apart that look the same. */
const nextKey = (): number => ++keys;

export const newVariable = (): DraftVariable => ({ key: nextKey(), name: '', value: '' });

export function newFile(secret: boolean): DraftFile {
  return { key: nextKey(), destination: '', mode: secret ? '0600' : '0644', secret, content: '' };
}

export function draftOf(environment: Environment): Draft {
  const { version, repository, post_start } = environment;
  return {
    version,
    variables: environment.variables.map(({ name }) => ({ key: nextKey(), name, value: null })),
    files: environment.files.map(({ destination, mode, secret, content }) => ({
      key: nextKey(),
      destination,
      mode,
      secret,
      content: content === null ? null : textOf(content),
    })),
    repository: {
      url: repository?.url ?? '',
      directory: repository?.directory ?? '',
      branch: repository?.branch ?? '',
      token: repository?.has_token === true ? null : '',
    },
    script: post_start ?? '',
  };
}

/** What is sent. Rows that nobody has filled in are left out. */
export function wantedOf(draft: Draft): NewEnvironment {
  const { url, directory, branch, token } = draft.repository;
  return {
    version: draft.version,
    variables: draft.variables
      .filter(({ name, value }) => name.trim() !== '' || value !== '')
      .map(({ name, value }) => ({ name: name.trim(), ...(value === null ? {} : { value }) })),
    files: draft.files
      .filter(({ destination, content }) => destination.trim() !== '' || content !== '')
      .map(({ destination, mode, secret, content }) => ({
        destination: destination.trim(),
        mode,
        secret,
        ...(content === null ? {} : { content: base64Of(content) }),
      })),
    repository:
      url.trim() === ''
        ? null
        : {
            url: url.trim(),
            directory: directory.trim() === '' ? directoryOf(url) : directory.trim(),
            branch: branch.trim() === '' ? null : branch.trim(),
            ...(token === null || token === '' ? {} : { token }),
            keep_token: token === null,
          },
    post_start: draft.script.trim() === '' ? null : draft.script,
  };
}

/** The directory that git itself would choose. */
export function directoryOf(url: string): string {
  const last = url.trim().replace(/\/+$/, '').split(/[/:]/).at(-1) ?? '';
  return last.replace(/\.git$/, '');
}

export function base64Of(content: string): string {
  const bytes = new TextEncoder().encode(content);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}

/** Null for what is not text: it is kept as it is. */
function textOf(base64: string): string | null {
  try {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
