// The event stream parser, above all where a piece of text ends in an awkward place.
import { describe, expect, it } from 'vitest';

import { SseParser } from './sse';

const STREAM =
  ': hello\r\n\r\nevent: session\r\nid: ws-1:7\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata:x\n\n: beat\n\n';

const EVENTS = [
  { event: 'session', data: '{"a":\n1}', id: 'ws-1:7' },
  { event: 'message', data: 'x', id: 'ws-1:7' },
];

describe('SseParser', () => {
  it('reads events and skips comments', () => {
    expect(new SseParser().push(STREAM)).toEqual(EVENTS);
  });

  it('reads the same however the text is cut', () => {
    for (let size = 1; size < STREAM.length; size += 1) {
      const parser = new SseParser();
      const events = [];
      for (let at = 0; at < STREAM.length; at += size)
        events.push(...parser.push(STREAM.slice(at, at + size)));
      expect(events, `pieces of ${size}`).toEqual(EVENTS);
    }
  });

  it('holds an event back until its blank line has come', () => {
    const parser = new SseParser();
    expect(parser.push('data: 1\n')).toEqual([]);
    expect(parser.push('\n')).toHaveLength(1);
  });
});
