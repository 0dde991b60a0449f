// How notifications are put in order, and in words.
import { expect, it } from 'vitest';

import type { Notification } from '../api/inbox';
import { activityLook, endingWords, grouped, isUnread, reasonLook } from './reasons';

const one = (id: string, session_id: string | null, more: Partial<Notification> = {}): Notification => ({
  id,
  seq: 1,
  workspace_id: 'ws-1',
  session_id,
  reason: 'message',
  severity: 'info',
  evidence: 'bell',
  confidence: 90,
  text: '',
  question: null,
  created_at_ms: 0,
  seen_at_ms: null,
  ended_at_ms: null,
  ended_because: null,
  change_seq: 1,
  ...more,
});

it('puts together what is of one session, and first who waits', () => {
  const waits = one('c', 's-2', { reason: 'waiting_for_input' });
  const groups = grouped([one('a', 's-1'), one('b', null), waits, one('d', 's-1')]);
  expect(groups.map(({ key, notifications }) => [key, notifications.map(({ id }) => id)])).toEqual([
    ['s-2', ['c']],
    ['s-1', ['a', 'd']],
    ['ws-1', ['b']],
  ]);
});

it('waits for nobody once it is over', () => {
  const over = one('b', 's-2', { reason: 'waiting_for_input', ended_at_ms: 1 });
  expect(grouped([one('a', 's-1'), over]).map(({ key }) => key)).toEqual(['s-1', 's-2']);
});

it('counts as unread what is open and was not seen', () => {
  expect(isUnread(one('a', null))).toBe(true);
  expect(isUnread(one('a', null, { seen_at_ms: 1 }))).toBe(false);
  expect(isUnread(one('a', null, { ended_at_ms: 1 }))).toBe(false);
});

it('shows words that it does not know as they are', () => {
  expect(reasonLook('dreams').word).toBe('dreams');
  expect(activityLook('dreams')).toBeNull();
  expect(endingWords('dreams')).toBe('over');
});
