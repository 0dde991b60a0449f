// Reasons and activities in words, with an icon and a tone. Words this page doesn't know are shown as they are.

import type { Notification } from '../api/inbox';

export type Tone = 'good' | 'warn' | 'bad' | 'accent' | 'muted';
export type ReasonIcon = 'hand' | 'chat' | 'check' | 'alert' | 'bell' | 'play' | 'clock' | 'off' | 'question';

export interface Look {
  word: string;
  icon: ReasonIcon;
  tone: Tone;
}

const REASONS: Record<string, Look> = {
  waiting_for_approval: { word: 'Wants your approval', icon: 'hand', tone: 'warn' },
  waiting_for_input: { word: 'Waits for you', icon: 'chat', tone: 'warn' },
  done: { word: 'Done', icon: 'check', tone: 'good' },
  failed: { word: 'Failed', icon: 'alert', tone: 'bad' },
  message: { word: 'Message', icon: 'bell', tone: 'accent' },
  berth: { word: 'Berth', icon: 'alert', tone: 'warn' },
};

const ACTIVITIES: Record<string, Look> = {
  working: { word: 'Working', icon: 'play', tone: 'good' },
  waiting_for_approval: { word: 'Wants your approval', icon: 'hand', tone: 'warn' },
  waiting_for_input: { word: 'Waits for you', icon: 'chat', tone: 'warn' },
  done: { word: 'Done', icon: 'check', tone: 'good' },
  failed: { word: 'Failed', icon: 'alert', tone: 'bad' },
  idle: { word: 'Idle', icon: 'clock', tone: 'muted' },
};

const ENDINGS: Record<string, string> = {
  answered: 'answered',
  seen: 'seen',
  went_on: 'it went on by itself',
  superseded: 'there is something newer',
  gone: 'its pane is gone',
};

const EVIDENCE: Record<string, string> = {
  hook: 'said by the agent itself',
  notice: 'said by a program',
  progress: 'by a progress report',
  prompt: 'by how the screen looks',
  bell: 'by the bell',
  title: 'by the title',
  screen: 'by how the screen looks',
  process: 'by what runs',
  silence: 'by silence after work',
};

export function reasonLook(reason: string): Look {
  return REASONS[reason] ?? { word: reason, icon: 'question', tone: 'muted' };
}

/** Null for what says nothing. */
export function activityLook(activity: string): Look | null {
  return ACTIVITIES[activity] ?? null;
}

/** How it is known, and how surely. */
export function evidenceWords(evidence: string, confidence: number): string {
  return `${EVIDENCE[evidence] ?? evidence}, ${confidence} % sure`;
}

export function endingWords(because: string | null): string {
  return ENDINGS[because ?? ''] ?? 'over';
}

/** Whether it is open and was not seen. */
export function isUnread(one: Notification): boolean {
  return one.seen_at_ms === null && one.ended_at_ms === null;
}

export function isOpen(one: Notification): boolean {
  return one.ended_at_ms === null;
}

/** A group of an inbox: one session, or what is about none. */
export interface Group {
  key: string;
  session: string | null;
  workspace: string;
  notifications: Notification[];
}

const WAITING = ['waiting_for_approval', 'waiting_for_input'];

/** Notifications by session: first where somebody waits, then where the newest is. They come newest first, and stay so in
    their group. */
export function grouped(notifications: Notification[]): Group[] {
  const groups = new Map<string, Group>();
  for (const one of notifications) {
    const key = one.session_id ?? one.workspace_id;
    const known = groups.get(key);
    if (known) known.notifications.push(one);
    else {
      groups.set(key, {
        key,
        session: one.session_id,
        workspace: one.workspace_id,
        notifications: [one],
      });
    }
  }
  const waits = ({ notifications: all }: Group) =>
    all.some((one) => isOpen(one) && WAITING.includes(one.reason));
  return [...groups.values()].sort((a, b) => Number(waits(b)) - Number(waits(a)));
}
