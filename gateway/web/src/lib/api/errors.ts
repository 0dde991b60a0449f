// The one error type of the API client. `message` is a sentence for people, written by the gateway or, for
// failures that never reached it, here; `kind` is the stable word that code may branch on.

export class ApiError extends Error {
  override name = 'ApiError';

  constructor(
    /** The HTTP status, or 0 when there was no answer. */
    readonly status: number,
    readonly kind: string,
    message: string,
    readonly requestId: string | null = null,
  ) {
    super(message);
  }

  get signedOut(): boolean {
    return this.status === 401;
  }
}

/** The error that an HTTP answer of 4xx or 5xx stands for, whatever its body turned out to be. */
export function errorFromResponse(status: number, body: unknown): ApiError {
  const inner = (body as { error?: unknown } | null | undefined)?.error;
  if (typeof inner === 'object' && inner !== null) {
    const { kind, message, request_id } = inner as Record<string, unknown>;
    if (typeof kind === 'string' && typeof message === 'string') {
      return new ApiError(status, kind, message, typeof request_id === 'string' ? request_id : null);
    }
  }
  // A proxy in between answers in its own words; those are not for people.
  return new ApiError(status, 'unexpected_answer', `The gateway answered with status ${status}.`);
}

/** Whatever was thrown, as something that can be shown. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new ApiError(0, 'timeout', 'The gateway did not answer in time.');
  }
  if (error instanceof TypeError) {
    return new ApiError(0, 'unreachable', 'The gateway can’t be reached. Check your connection.');
  }
  return new ApiError(0, 'unexpected_answer', 'The gateway sent an answer this page does not understand.');
}
