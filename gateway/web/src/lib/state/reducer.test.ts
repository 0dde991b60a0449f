// How events change the picture, in particular those that come late.
import { describe, expect, it } from 'vitest';

import { NO_INBOX, type Notification } from '../api/inbox';
import type { Session, Workspace } from '../api/types';
import { EMPTY, apply, sessionsOf, workspacesInOrder } from './reducer';

const session = (id: string, change_seq: number, more: Partial<Session> = {}): Session => ({
  id,
  workspace_id: 'ws-1',
  name: id,
  template: 'default',
  state: 'running',
  message: null,
  attachments: 0,
  attention: null,
  created_at_ms: 0,
  change_seq,
  ...more,
});
const workspace = (id: string, change_seq: number, state = 'online'): Workspace => ({
  id,
  name: id,
  role: 'owner',
  change_seq,
  box: { state, route: null, agent_version: null, telemetry: null },
});
const held = apply(EMPTY, {
  type: 'snapshot',
  workspaces: [workspace('ws-1', 10)],
  sessions: [session('ses-1', 10, { name: 'kept' })],
  previews: [],
  inbox: NO_INBOX,
});

describe('apply', () => {
  it('ignores a session that is older than the one held', () => {
    const next = apply(held, { type: 'session', session: session('ses-1', 9, { name: 'stale' }) });
    expect(next).toBe(held);
  });

  it('ignores a workspace that is older than the one held', () => {
    expect(apply(held, { type: 'workspace', workspace: workspace('ws-1', 9, 'offline') })).toBe(held);
  });

  it.each([10, 11])('takes what is as new or newer (change_seq %d)', (change_seq) => {
    const next = apply(held, { type: 'session', session: session('ses-1', change_seq, { name: 'new' }) });
    expect(next.sessions.get('ses-1')?.name).toBe('new');
    const moved = apply(held, { type: 'workspace', workspace: workspace('ws-1', change_seq, 'offline') });
    expect(moved.workspaces.get('ws-1')?.box.state).toBe('offline');
  });

  it('replaces the previews of one workspace as they are told', () => {
    const previews = (workspace_id: string, port: number) => ({
      workspace_id,
      previews: [],
      ports: [{ port, process: null, kind: null }],
    });
    const first = apply(held, { type: 'previews', previews: previews('ws-1', 3000) });
    const second = apply(first, { type: 'previews', previews: previews('ws-2', 4000) });
    const third = apply(second, { type: 'previews', previews: previews('ws-1', 5000) });
    const ports = [...third.previews].map(([id, known]) => [id, known.ports[0]?.port]);
    expect(ports).toEqual([
      ['ws-1', 5000],
      ['ws-2', 4000],
    ]);
  });

  it('replaces everything with a snapshot, older numbers included', () => {
    const next = apply(held, {
      type: 'snapshot',
      workspaces: [workspace('ws-2', 1)],
      sessions: [session('ses-1', 3, { name: 'restored' })],
      previews: [],
      inbox: NO_INBOX,
    });
    expect([...next.workspaces.keys()]).toEqual(['ws-2']);
    expect(next.sessions.get('ses-1')?.name).toBe('restored');
  });

  it('does not let a late answer bring a deleted session back', () => {
    const gone = apply(held, { type: 'session_deleted', id: 'ses-1' });
    expect(gone.sessions.size).toBe(0);
    expect(apply(gone, { type: 'session', session: session('ses-1', 99) })).toBe(gone);
  });

  it('does not change the picture it was given', () => {
    apply(held, { type: 'session_deleted', id: 'ses-1' });
    apply(held, { type: 'session', session: session('ses-2', 11) });
    expect([...held.sessions.keys()]).toEqual(['ses-1']);
  });
});

describe('the inbox', () => {
  const notification = (id: string, change_seq: number, seen_at_ms: number | null): Notification => ({
    id,
    seq: 1,
    workspace_id: 'ws-1',
    session_id: 'ses-1',
    reason: 'message',
    severity: 'info',
    evidence: 'bell',
    confidence: 90,
    text: '',
    question: null,
    created_at_ms: 0,
    seen_at_ms,
    ended_at_ms: null,
    ended_because: null,
    change_seq,
  });
  const inbox = (seq: number, unread: number, ...notifications: Notification[]) => ({
    type: 'inbox' as const,
    inbox: { seq, unread, notifications, mutes: [] },
  });

  it('takes what is newer, and keeps the rest', () => {
    const first = apply(held, inbox(2, 2, notification('a', 1, null), notification('b', 2, null)));
    const second = apply(first, inbox(3, 1, notification('a', 3, 5)));
    expect(second.inbox.unread).toBe(1);
    expect(second.notifications.get('a')?.seen_at_ms).toBe(5);
    expect(second.notifications.get('b')?.seen_at_ms).toBeNull();
    const late = apply(second, inbox(2, 2, notification('a', 1, null)));
    expect(late.inbox.unread).toBe(1);
    expect(late.notifications.get('a')?.seen_at_ms).toBe(5);
  });
});

describe('order', () => {
  it('shows first who waits', () => {
    const attention = (activity: string) => ({
      activity,
      evidence: 'hook',
      confidence: 98,
      since_ms: 0,
      panes: [],
    });
    const picture = apply(EMPTY, {
      type: 'snapshot',
      workspaces: [],
      sessions: [
        session('works', 1, { attention: attention('working') }),
        session('asks', 1, { created_at_ms: 9, attention: attention('waiting_for_approval') }),
        session('silent', 1, { created_at_ms: 1 }),
      ],
      previews: [],
      inbox: NO_INBOX,
    });
    expect(sessionsOf(picture, 'ws-1').map(({ id }) => id)).toEqual(['asks', 'works', 'silent']);
  });

  it('shows workspaces by name, and a workspace’s sessions by age', () => {
    const picture = apply(EMPTY, {
      type: 'snapshot',
      workspaces: [workspace('b', 1), workspace('a', 1)],
      sessions: [
        session('late', 1, { created_at_ms: 2 }),
        session('early', 1, { created_at_ms: 1 }),
        session('elsewhere', 1, { workspace_id: 'ws-9' }),
      ],
      previews: [],
      inbox: NO_INBOX,
    });
    expect(workspacesInOrder(picture).map(({ id }) => id)).toEqual(['a', 'b']);
    expect(sessionsOf(picture, 'ws-1').map(({ id }) => id)).toEqual(['early', 'late']);
  });
});
