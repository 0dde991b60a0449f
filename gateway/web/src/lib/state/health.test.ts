// What is said of a channel.
import { expect, it } from 'vitest';

import type { Channel } from '../api/channels';
import { healthOf, testOutcome } from './health';
import { browserName, keyBytes } from './push.svelte';

const NOW = Date.UTC(2026, 0, 10, 12);
const DAY = 24 * 3_600_000;
const channel = (more: Partial<Channel>): Channel => ({
  id: 'chn-1',
  kind: 'ntfy',
  name: 'phone',
  host: 'ntfy.sh',
  escalation: false,
  includes_text: false,
  state: 'active',
  created_at_ms: 0,
  accepted_at_ms: null,
  shown_at_ms: null,
  failed_at_ms: null,
  failure: null,
  failures: 0,
  last: null,
  ...more,
});

it.each([
  [channel({}), 'warn', 'Test it now'],
  [channel({ accepted_at_ms: NOW - 1000 }), 'good', 'Works'],
  [channel({ accepted_at_ms: NOW - 1000, shown_at_ms: NOW }), 'good', 'and shown'],
  [channel({ accepted_at_ms: NOW - 3 * DAY }), 'warn', '3 days ago'],
  [channel({ accepted_at_ms: NOW, failure: 'no answer', failures: 4 }), 'bad', '4 times'],
  [channel({ state: 'gone', failure: 'push.example answered 410 Gone' }), 'bad', '410'],
  [channel({ state: 'off' }), 'muted', 'off'],
])('says how a channel does (%#)', (of, tone, words) => {
  const health = healthOf(of, NOW);
  expect(health.tone).toBe(tone);
  expect(health.words).toContain(words);
});

it('says what became of a test', () => {
  const last = { what: 'test', state: 'queued', queued_at_ms: 0, failure: null };
  expect(testOutcome(channel({ last }))).toBeNull();
  expect(testOutcome(channel({ last: { ...last, state: 'accepted' } }))).toContain('Accepted');
  expect(testOutcome(channel({ last: { ...last, state: 'failed', failure: 'no answer' } }))).toContain(
    'no answer',
  );
  expect(testOutcome(channel({ last: { ...last, what: 'show', state: 'accepted' } }))).toBeNull();
});

it('names a browser and reads the gateway’s key', () => {
  expect(browserName('Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36')).toBe(
    'Chrome on Android',
  );
  expect(browserName('Mozilla/5.0 (iPhone) Version/19.0 Safari/604.1')).toBe('Safari on iOS');
  expect([...keyBytes('-_8A')]).toEqual([251, 255, 0]);
});
