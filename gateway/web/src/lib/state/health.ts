// How a channel does, in one sentence: something that broke in silence must be seen before it is needed.

import type { Channel } from '../api/channels';
import { formatTime } from '../format';

const DAY_MS = 24 * 3_600_000;

/** So long without a message that was accepted, and nobody knows whether the next would be. */
const STALE_MS = 3 * DAY_MS;

export interface Health {
  tone: 'good' | 'warn' | 'bad' | 'muted';
  words: string;
}

export function healthOf(channel: Channel, now = Date.now()): Health {
  const { state, accepted_at_ms: accepted, shown_at_ms: shown, failure, failures, failed_at_ms } = channel;
  if (state === 'gone')
    return { tone: 'bad', words: `Gone: ${failure ?? 'it does not exist any more'}. Make it anew.` };
  if (state === 'off') return { tone: 'muted', words: 'Switched off' };
  if (failure !== null) {
    const times = failures > 1 ? `${failures} times` : 'once';
    const when = failed_at_ms === null ? '' : `, last ${formatTime(failed_at_ms, now)}`;
    return { tone: 'bad', words: `Failed ${times}${when}: ${failure}` };
  }
  if (accepted === null) return { tone: 'warn', words: 'Nothing was ever sent. Test it now.' };
  const days = Math.floor((now - accepted) / DAY_MS);
  const ago =
    days === 0
      ? `last accepted ${formatTime(accepted, now)}`
      : `last accepted ${days} ${days === 1 ? 'day' : 'days'} ago`;
  if (now - accepted >= STALE_MS)
    return { tone: 'warn', words: `Works as far as known: ${ago}. Test it now.` };
  const seen = shown !== null && shown >= accepted ? ', and shown' : '';
  return { tone: 'good', words: `Works: ${ago}${seen}` };
}

/** What became of a test, in words; null while it is on its way. */
export function testOutcome(channel: Channel): string | null {
  const { last } = channel;
  if (last?.what !== 'test' || last.state === 'queued') return null;
  switch (last.state) {
    case 'accepted':
      return 'Accepted. It should appear in a moment.';
    case 'shown':
      return 'Accepted and shown.';
    case 'acted':
      return 'Accepted, shown and pressed.';
    default:
      return `Not sent: ${last.failure ?? 'the reason is not known'}.`;
  }
}
