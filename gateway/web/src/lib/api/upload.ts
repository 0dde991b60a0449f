// Sends a file into a session's directory. The one request that is not made with `fetch`, which tells nothing
// of how far it is.

import { decodeUploaded } from './decode';
import { ApiError, errorFromResponse, toApiError } from './errors';
import type { Uploaded } from './types';

/** Bytes of one file, at most; the gateway's own bound. */
export const MAX_UPLOAD = 25 * 1024 * 1024;

/** Longer than gateway and box wait before they give up, so that it is they who say why. */
export const STALL_MS = 90_000;

/** The part of `XMLHttpRequest` that is used, so that tests can stand in for it. */
export type RequestLike = Pick<
  XMLHttpRequest,
  | 'open'
  | 'setRequestHeader'
  | 'send'
  | 'abort'
  | 'status'
  | 'responseText'
  | 'onload'
  | 'onerror'
  | 'onabort'
> & { upload: { onprogress: ((event: ProgressEvent) => void) | null } };

export interface UploadOptions {
  signal: AbortSignal;
  onProgress: (sent: number) => void;
  request?: () => RequestLike;
}

/** Sends one file. Fails with an `ApiError`, of the kind `cancelled` when the signal asked for it. */
export function uploadFile(
  sessionId: string,
  file: Blob,
  name: string,
  options: UploadOptions,
): Promise<Uploaded> {
  if (file.size > MAX_UPLOAD) return Promise.reject(tooLarge());
  const { signal, onProgress } = options;
  const request: RequestLike = options.request?.() ?? new XMLHttpRequest();
  let stalled = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const watch = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      stalled = true;
      request.abort();
    }, STALL_MS);
  };
  const cancel = () => request.abort();

  return new Promise<Uploaded>((resolve, reject) => {
    const path = `/api/v1/sessions/${encodeURIComponent(sessionId)}/files?name=${encodeURIComponent(name)}`;
    request.open('POST', path);
    request.setRequestHeader('accept', 'application/json');
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.upload.onprogress = (event) => {
      watch();
      onProgress(event.loaded);
    };
    request.onload = () => {
      try {
        const body = parseOrNull(request.responseText);
        if (request.status !== 201) throw errorFromResponse(request.status, body);
        resolve(decodeUploaded(body));
      } catch (error) {
        reject(toApiError(error));
      }
    };
    request.onerror = () => reject(toApiError(new TypeError('no answer')));
    request.onabort = () =>
      reject(
        stalled
          ? new ApiError(0, 'timeout', 'The gateway did not answer in time.')
          : new ApiError(0, 'cancelled', 'The upload was cancelled.'),
      );
    signal.addEventListener('abort', cancel);
    watch();
    request.send(file);
    if (signal.aborted) cancel();
  }).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
  });
}

export function tooLarge(): ApiError {
  return new ApiError(413, 'too_large', 'A file may have 25 MiB at most.');
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
