// What the gateway says, as types. The names are those on the wire, so that a field can be searched for
// on both sides. States are open sets: a newer gateway may send a word this UI does not know yet.

import type { Attention, Inbox } from './inbox';

export interface Telemetry {
  cpu_percent: number;
  memory_used_bytes: number;
  memory_total_bytes: number;
  disk_used_bytes: number;
  disk_total_bytes: number;
}

export interface Box {
  /** `online`, `offline` or `not_enrolled`. */
  state: string;
  /** `public`, `tailscale` or `dial_back` while it is online. */
  route: string | null;
  agent_version: string | null;
  telemetry: Telemetry | null;
}

export interface Workspace {
  id: string;
  name: string;
  /** What one may do there: `viewer`, `editor` or `owner`. */
  role: string;
  change_seq: number;
  box: Box;
}

export interface Session {
  id: string;
  workspace_id: string;
  name: string;
  template: string;
  /** `starting`, `running` or `failed`. */
  state: string;
  message: string | null;
  attachments: number;
  /** What it is doing, if its box says so. */
  attention: Attention | null;
  created_at_ms: number;
  change_seq: number;
}

export interface Me {
  user: { id: string; name: string };
  /** Who makes invites and organisations. */
  installation_owner: boolean;
  installation: string;
  version: string;
}

export interface Ticket {
  ticket: string;
  expires_in_seconds: number;
  /** `editor` or `viewer`. */
  role: string;
}

/** What a ticket is wanted for. */
export interface TicketWish {
  /** This tab, so that it is known again after a reconnect. */
  client: string;
  watch: boolean;
}

/** One person may watch a session for a while. */
export interface Share {
  id: string;
  name: string;
  created_at_ms: number;
  opened_at_ms: number | null;
  expires_at_ms: number;
}

/** A share that was made just now, with its link. */
export interface CreatedShare {
  share: Share;
  url: string;
}

/** What a guest may watch. */
export interface OpenedShare {
  session_id: string;
  expires_at_ms: number;
}

/** A file that was uploaded. */
export interface Uploaded {
  path: string;
  /** The name that it got: another than asked for when that was taken. */
  name: string;
  bytes: number;
}

/** A loopback port of a box, with an origin of its own. */
export interface Preview {
  id: string;
  workspace_id: string;
  port: number;
  /** `private`, `link` or `public`. */
  visibility: string;
  /** When the last of its links ends. */
  link_until_ms: number | null;
  /** `standard`, `localhost` or `transparent`. */
  mode: string;
  /** Null when the gateway has no hosts for previews any more. */
  url: string | null;
  created_at_ms: number;
}

/** A port on which a program of the box listens. */
export interface Port {
  port: number;
  process: string | null;
  /** What kind of server it seems to be. */
  kind: string | null;
}

/** The previews of a workspace, and what listens on its box. */
export interface WorkspacePreviews {
  workspace_id: string;
  previews: Preview[];
  ports: Port[];
}

/** One change of the live picture, as the event stream or an answered request tells it. */
export type LiveEvent =
  | {
      type: 'snapshot';
      workspaces: Workspace[];
      sessions: Session[];
      previews: WorkspacePreviews[];
      inbox: Inbox;
    }
  | { type: 'workspace'; workspace: Workspace }
  | { type: 'session'; session: Session }
  | { type: 'session_deleted'; id: string }
  | { type: 'previews'; previews: WorkspacePreviews }
  | { type: 'inbox'; inbox: Inbox };
