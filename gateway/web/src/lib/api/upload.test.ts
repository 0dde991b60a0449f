// One upload: what is asked, how far it is, and how each way of ending is told.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { MAX_UPLOAD, type RequestLike, STALL_MS, uploadFile } from './upload';

class FakeRequest implements RequestLike {
  status = 0;
  responseText = '';
  onload: RequestLike['onload'] = null;
  onerror: RequestLike['onerror'] = null;
  onabort: RequestLike['onabort'] = null;
  upload: RequestLike['upload'] = { onprogress: null };
  open = vi.fn();
  setRequestHeader = vi.fn();
  send = vi.fn();
  abort = vi.fn(() => this.#call(this.onabort));

  answer(status: number, body: unknown): void {
    this.status = status;
    this.responseText = typeof body === 'string' ? body : JSON.stringify(body);
    this.#call(this.onload);
  }

  fail(): void {
    this.#call(this.onerror);
  }

  progress(loaded: number): void {
    this.upload.onprogress?.({ loaded } as ProgressEvent);
  }

  #call(handler: RequestLike['onload'] | RequestLike['onabort']): void {
    (handler as ((event: unknown) => void) | null)?.(null);
  }
}

const FILE = new Blob(['content']);
const DONE = { path: '/d/a b.txt', name: 'a b.txt', bytes: 7 };

function begin() {
  const request = new FakeRequest();
  const cancel = new AbortController();
  const onProgress = vi.fn();
  const options = { signal: cancel.signal, onProgress, request: () => request };
  return { request, cancel, onProgress, done: uploadFile('ses-a', FILE, 'a b&/.txt', options) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('sends the file as it is, and says how far it is and where it went', async () => {
  const { request, onProgress, done } = begin();
  expect(request.open).toHaveBeenCalledWith('POST', '/api/v1/sessions/ses-a/files?name=a%20b%26%2F.txt');
  expect(request.setRequestHeader).toHaveBeenCalledWith('content-type', 'application/octet-stream');
  expect(request.send).toHaveBeenCalledWith(FILE);
  request.progress(3);
  expect(onProgress).toHaveBeenCalledWith(3);
  request.answer(201, { ...DONE, more: true });
  expect(await done).toEqual(DONE);
});

it('fails in the words of the gateway, or in its own', async () => {
  const error = { kind: 'no_space', message: 'no room', request_id: 'req-1' };
  const cases = [
    [507, { error }, { kind: 'no_space', message: 'no room', requestId: 'req-1' }],
    [413, '<html>', { kind: 'unexpected_answer' }],
    [201, { path: 1 }, { kind: 'unexpected_answer' }],
  ] as const;
  for (const [status, body, expected] of cases) {
    const { request, done } = begin();
    request.answer(status, body);
    await expect(done).rejects.toMatchObject(expected);
  }
  const { request, done } = begin();
  request.fail();
  await expect(done).rejects.toMatchObject({ kind: 'unreachable' });
});

it('is cancelled, also before it begins', async () => {
  const { request, cancel, done } = begin();
  cancel.abort();
  await expect(done).rejects.toMatchObject({ kind: 'cancelled' });
  expect(request.abort).toHaveBeenCalledOnce();
  const options = { signal: cancel.signal, onProgress: vi.fn(), request: () => new FakeRequest() };
  await expect(uploadFile('ses-a', FILE, 'a', options)).rejects.toMatchObject({ kind: 'cancelled' });
});

it('gives up when nothing moves', async () => {
  const { request, done } = begin();
  const outcome = expect(done).rejects.toMatchObject({ kind: 'timeout' });
  vi.advanceTimersByTime(STALL_MS - 1);
  request.progress(1);
  vi.advanceTimersByTime(STALL_MS - 1);
  expect(request.abort).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  await outcome;
});

it('asks for nothing when the file is too large', async () => {
  const request = vi.fn();
  const large = { size: MAX_UPLOAD + 1 } as Blob;
  const options = { signal: new AbortController().signal, onProgress: vi.fn(), request };
  await expect(uploadFile('ses-a', large, 'a', options)).rejects.toMatchObject({ kind: 'too_large' });
  expect(request).not.toHaveBeenCalled();
});
