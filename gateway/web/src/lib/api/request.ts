// How the UI asks the gateway: same origin, cookie auth; failures are always `ApiError`.

import { errorFromResponse, toApiError } from './errors';

const TIMEOUT_MS = 15_000;

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Asks the gateway, as JSON. */
export async function request(
  method: Method,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
  timeoutMs = TIMEOUT_MS,
): Promise<unknown> {
  const timeout = AbortSignal.timeout(timeoutMs);
  const headers = new Headers({ accept: 'application/json' });
  const init: RequestInit = {
    method,
    headers,
    credentials: 'same-origin',
    cache: 'no-store',
    redirect: 'error',
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  };
  if (method !== 'GET') {
    // Always JSON, even when there is nothing to say: a form of another site could not send this.
    headers.set('content-type', 'application/json');
    init.body = JSON.stringify(body ?? {});
  }

  try {
    const response = await fetch(path, init);
    const text = await response.text();
    if (!response.ok) throw errorFromResponse(response.status, parseOrNull(text));
    return text === '' ? null : (JSON.parse(text) as unknown);
  } catch (error) {
    throw toApiError(error);
  }
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

/** What was answered, or an `ApiError` when it is not what it should be. */
export function decoded<T>(decode: (value: unknown) => T, value: unknown): T {
  try {
    return decode(value);
  } catch (error) {
    throw toApiError(error);
  }
}
