// Invites on the wire, and what is asked about them. They are the installation's, or one organisation's.

import { count, fields, list, text, textOrNull } from './decode';
import { organizationPath } from './organizations';
import { decoded, request } from './request';

export interface Invite {
  id: string;
  uses_left: number;
  /** What its users may use at once. */
  access: InviteAccess | null;
  /** Null when the operator made it. */
  maker: string | null;
  created_at_ms: number;
  expires_at_ms: number;
}

export interface InviteAccess {
  /** `workspace` or `organization`. */
  kind: string;
  id: string;
  name: string;
  /** `viewer`, `editor` or `owner`. */
  role: string;
}

export interface CreatedInvite {
  invite: Invite;
  url: string;
}

/** Where an invite may lead. */
export interface InvitePlace {
  kind: 'workspace' | 'organization';
  id: string;
  name: string;
}

export interface NewInvite {
  uses: number;
  seconds: number;
  place: InvitePlace | null;
  role: string;
}

function decodeInvite(value: unknown): Invite {
  const from = fields(value, 'invite');
  return {
    id: text(from, 'id'),
    uses_left: count(from, 'uses_left'),
    access: from['access'] === null ? null : decodeAccess(from['access']),
    maker: textOrNull(from, 'maker'),
    created_at_ms: count(from, 'created_at_ms'),
    expires_at_ms: count(from, 'expires_at_ms'),
  };
}

function decodeAccess(value: unknown): InviteAccess {
  const from = fields(value, 'access');
  return {
    kind: text(from, 'kind'),
    id: text(from, 'id'),
    name: text(from, 'name'),
    role: text(from, 'role'),
  };
}

export function decodeInvites(value: unknown): Invite[] {
  return list(fields(value, 'invites'), 'invites', decodeInvite);
}

export function decodeCreatedInvite(value: unknown): CreatedInvite {
  const from = fields(value, 'created invite');
  return { invite: decodeInvite(from['invite']), url: text(from, 'url') };
}

/** The invites of an organisation; of the installation without one. */
const invitesPath = (organization: string | null) =>
  organization === null ? '/api/v1/invites' : `${organizationPath(organization)}/invites`;

export async function getInvites(organization: string | null): Promise<Invite[]> {
  return decoded(decodeInvites, await request('GET', invitesPath(organization)));
}

export async function createInvite(organization: string | null, wanted: NewInvite): Promise<CreatedInvite> {
  const { uses, seconds, place, role } = wanted;
  const limits = { uses, expires_in_seconds: seconds };
  const leads =
    organization !== null
      ? { role }
      : { access: place === null ? null : { kind: place.kind, id: place.id, role } };
  const made = await request('POST', invitesPath(organization), { ...limits, ...leads });
  return decoded(decodeCreatedInvite, made);
}

export async function revokeInvite(organization: string | null, id: string): Promise<void> {
  await request('DELETE', `${invitesPath(organization)}/${encodeURIComponent(id)}`);
}
