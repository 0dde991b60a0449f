// The live picture of workspaces and sessions, and how an event changes it. Pure: the same function serves
// the event stream and the answers to the page's own requests, which may overtake each other in either
// order; `change_seq` decides who is newer.

import { type Inbox, type Notification, NO_INBOX } from '../api/inbox';
import type { LiveEvent, Session, Workspace, WorkspacePreviews } from '../api/types';

export interface Picture {
  workspaces: ReadonlyMap<string, Workspace>;
  sessions: ReadonlyMap<string, Session>;
  /** By workspace. Each is told whole, by the stream alone and in order. */
  previews: ReadonlyMap<string, WorkspacePreviews>;
  /** The newest of the inbox, and what has changed since the page was opened, by id. */
  notifications: ReadonlyMap<string, Notification>;
  /** The inbox's numbers as they were last told. */
  inbox: Omit<Inbox, 'notifications'>;
  /** Sessions known to be deleted: an answer that was late must not bring one back. */
  deleted: ReadonlySet<string>;
}

export const EMPTY: Picture = {
  workspaces: new Map(),
  sessions: new Map(),
  previews: new Map(),
  notifications: new Map(),
  inbox: NO_INBOX,
  deleted: new Set(),
};

export function apply(picture: Picture, event: LiveEvent): Picture {
  switch (event.type) {
    case 'snapshot':
      return {
        workspaces: new Map(event.workspaces.map((workspace) => [workspace.id, workspace])),
        sessions: new Map(event.sessions.map((session) => [session.id, session])),
        previews: new Map(event.previews.map((previews) => [previews.workspace_id, previews])),
        notifications: new Map(event.inbox.notifications.map((one) => [one.id, one])),
        inbox: event.inbox,
        deleted: new Set(),
      };
    case 'workspace': {
      const workspaces = withNewer(picture.workspaces, event.workspace);
      return workspaces === picture.workspaces ? picture : { ...picture, workspaces };
    }
    case 'session': {
      if (picture.deleted.has(event.session.id)) return picture;
      const sessions = withNewer(picture.sessions, event.session);
      return sessions === picture.sessions ? picture : { ...picture, sessions };
    }
    case 'previews': {
      const previews = new Map(picture.previews).set(event.previews.workspace_id, event.previews);
      return { ...picture, previews };
    }
    case 'inbox': {
      const notifications = event.inbox.notifications.reduce(withNewer, picture.notifications);
      // An answered request may have been overtaken by the stream.
      const inbox = event.inbox.seq < picture.inbox.seq ? picture.inbox : event.inbox;
      return { ...picture, notifications, inbox };
    }
    case 'session_deleted': {
      const sessions = new Map(picture.sessions);
      sessions.delete(event.id);
      return { ...picture, sessions, deleted: new Set(picture.deleted).add(event.id) };
    }
  }
}

interface Entity {
  id: string;
  change_seq: number;
}

function withNewer<T extends Entity>(held: ReadonlyMap<string, T>, entity: T): ReadonlyMap<string, T> {
  const current = held.get(entity.id);
  if (current && entity.change_seq < current.change_seq) return held;
  return new Map(held).set(entity.id, entity);
}

/** Workspaces by name, the order they are shown in. */
export function workspacesInOrder(picture: Picture): Workspace[] {
  return [...picture.workspaces.values()].sort(
    (a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id),
  );
}

/** The sessions of a workspace: first those that wait for somebody, then in the order they were created, which renaming
    does not disturb. */
export function sessionsOf(picture: Picture, workspaceId: string): Session[] {
  return [...picture.sessions.values()]
    .filter((session) => session.workspace_id === workspaceId)
    .sort(
      (a, b) =>
        Number(waits(b)) - Number(waits(a)) || a.created_at_ms - b.created_at_ms || a.id.localeCompare(b.id),
    );
}

function waits({ attention }: Session): boolean {
  return attention?.activity === 'waiting_for_approval' || attention?.activity === 'waiting_for_input';
}
