// Failures as sentences: the gateway's own where it gave one, ours where it didn't.
import { expect, it } from 'vitest';

import { ApiError, errorFromResponse, toApiError } from './errors';

it('keeps the words and the request id of the gateway', () => {
  const body = { error: { kind: 'name_taken', message: 'There is one already.', request_id: 'req-1' } };
  const error = errorFromResponse(409, body);
  expect([error.status, error.kind, error.message, error.requestId]).toEqual([
    409,
    'name_taken',
    'There is one already.',
    'req-1',
  ]);
});

it.each([null, 'Bad Gateway', {}, { error: 'no' }, { error: { kind: 'x' } }])(
  'finds its own words for the body %j',
  (body) => {
    const error = errorFromResponse(502, body);
    expect(error.kind).toBe('unexpected_answer');
    expect(error.message).toContain('502');
  },
);

it('tells an unreachable gateway from one that is slow', () => {
  expect(toApiError(new TypeError('fetch failed')).kind).toBe('unreachable');
  expect(toApiError(new DOMException('', 'TimeoutError')).kind).toBe('timeout');
  const error = new ApiError(401, 'not_signed_in', 'Sign in first.');
  expect(toApiError(error)).toBe(error);
  expect(error.signedOut).toBe(true);
});
