// Several files: one after the other, and told together.
import { expect, it, vi } from 'vitest';

import { ApiError } from '../api/errors';
import type { Uploaded } from '../api/types';
import { MAX_UPLOAD } from '../api/upload';
import { type NamedFile, Uploads, type UploadsEvents } from './uploads.svelte';

const file = (name: string, size = 10): NamedFile => ({ name, file: { size } as Blob });

/** Uploads whose sending the test ends. */
function start() {
  const sent: {
    name: string;
    finish: () => void;
    fail: (error: ApiError) => void;
    sent: (n: number) => void;
  }[] = [];
  const onDone = vi.fn<(files: Uploaded[]) => void>();
  const onSignedOut = vi.fn();
  const send: UploadsEvents['send'] = ({ name }, { signal, onProgress }) =>
    new Promise<Uploaded>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new ApiError(0, 'cancelled', 'cancelled')));
      const finish = () => resolve({ path: `/d/${name}`, name, bytes: 10 });
      sent.push({ name, finish, fail: reject, sent: onProgress });
    });
  const uploads = new Uploads({ send, onDone, onSignedOut });
  const names = () => sent.map(({ name }) => name);
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  return { uploads, sent, names, settle, onDone, onSignedOut };
}

it('sends one after the other and tells all together', async () => {
  const { uploads, sent, names, settle, onDone } = start();
  uploads.add([file('a'), file('b')]);
  sent[0]?.sent(4);
  expect(uploads.progress).toEqual({ name: 'a', sent: 4, total: 10, number: 1, count: 2 });
  uploads.add([file('c')]);
  expect(uploads.progress?.count).toBe(3);
  expect(names()).toEqual(['a']);
  for (const index of [0, 1, 2]) {
    sent[index]?.finish();
    await settle();
  }
  expect(names()).toEqual(['a', 'b', 'c']);
  expect(onDone).toHaveBeenCalledOnce();
  expect(onDone.mock.calls[0]?.[0].map(({ path }) => path)).toEqual(['/d/a', '/d/b', '/d/c']);
  expect(uploads.progress).toBeNull();
});

it('goes on after a failure and keeps it until the next begin', async () => {
  const { uploads, sent, settle, onDone } = start();
  uploads.add([file('a'), file('b')]);
  sent[0]?.fail(new ApiError(507, 'no_space', 'no room'));
  await settle();
  sent[1]?.finish();
  await settle();
  expect(uploads.failures.map(({ name, error }) => [name, error.kind])).toEqual([['a', 'no_space']]);
  expect(onDone).toHaveBeenCalledOnce();
  uploads.add([file('c')]);
  expect(uploads.failures).toEqual([]);
});

it('refuses what is too large before anything is sent', () => {
  const { uploads, names } = start();
  uploads.add([file('large', MAX_UPLOAD + 1), file('largest', MAX_UPLOAD)]);
  expect(uploads.failures[0]?.error.message).toBe('A file may have 25 MiB at most.');
  expect(names()).toEqual(['largest']);
});

it('is cancelled as a whole, and what had arrived is told', async () => {
  const { uploads, sent, names, settle, onDone } = start();
  uploads.add([file('a'), file('b'), file('c')]);
  sent[0]?.finish();
  await settle();
  uploads.cancel();
  await settle();
  expect(names()).toEqual(['a', 'b']);
  expect(uploads.failures).toEqual([]);
  expect(onDone.mock.calls[0]?.[0].map(({ name }) => name)).toEqual(['a']);
});

it('tells nobody once it is closed', async () => {
  const { uploads, sent, settle, onDone } = start();
  uploads.add([file('a'), file('b')]);
  sent[0]?.finish();
  await settle();
  uploads.close();
  await settle();
  expect(onDone).not.toHaveBeenCalled();
});

it('notices that the user was signed out', async () => {
  const { uploads, sent, settle, onSignedOut } = start();
  uploads.add([file('a')]);
  sent[0]?.fail(new ApiError(401, 'not_signed_in', 'sign in'));
  await settle();
  expect(onSignedOut).toHaveBeenCalledOnce();
});
