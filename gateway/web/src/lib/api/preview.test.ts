import { describe, expect, it } from 'vitest';

import { type PreviewRequest, decodePreviewLinks, decodeRequests, withNewer } from './preview';

const request = (number: number, at_ms = number): PreviewRequest => ({
  number,
  at_ms,
  method: 'GET',
  path: '/',
  status: 200,
  millis: 1,
});

describe('the requests of a preview', () => {
  it('are shown once each, the newest first, and not without end', () => {
    const known = withNewer([], [request(2), request(1)]);
    expect(withNewer(known, [request(3), request(2)]).map((one) => one.number)).toEqual([3, 2, 1]);
    const many = Array.from({ length: 80 }, (_, index) => request(100 - index));
    expect(withNewer(known, many)).toHaveLength(50);
  });

  it('of a gateway that was restarted are others, though it counts from one', () => {
    expect(withNewer([request(1, 5)], [request(1, 9)]).map((one) => one.at_ms)).toEqual([9, 5]);
  });

  it('are read from their events alone', () => {
    const data = JSON.stringify({ requests: [request(1)] });
    expect(decodeRequests('requests', data)).toEqual([request(1)]);
    expect(decodeRequests('other', data)).toBeNull();
  });
});

describe('links', () => {
  it('come without their address to those who may not make one', () => {
    const link = { id: 'lnk-a', name: 'Ana', expires_at_ms: 2, opened: 0, opened_at_ms: null };
    expect(decodePreviewLinks({ links: [link] })[0]?.url).toBeNull();
    expect(decodePreviewLinks({ links: [{ ...link, url: 'http://a/#b' }] })[0]?.url).toBe('http://a/#b');
  });
});
