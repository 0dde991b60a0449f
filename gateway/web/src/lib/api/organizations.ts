// Organisations on the wire, and what is asked about them.

import { type User, decodeUser } from './account';
import { fields, list, text } from './decode';
import { decoded, request } from './request';

export interface Organization {
  id: string;
  name: string;
  /** The user's own: `viewer`, `editor` or `owner`. */
  role: string;
  members: OrganizationMember[];
  workspaces: { id: string; name: string }[];
}

export interface OrganizationMember {
  user: User;
  role: string;
}

export function decodeOrganization(value: unknown): Organization {
  const from = fields(value, 'organisation');
  return {
    id: text(from, 'id'),
    name: text(from, 'name'),
    role: text(from, 'role'),
    members: list(from, 'members', (item) => {
      const member = fields(item, 'member');
      return { user: decodeUser(member['user']), role: text(member, 'role') };
    }),
    workspaces: list(from, 'workspaces', (item) => {
      const workspace = fields(item, 'workspace');
      return { id: text(workspace, 'id'), name: text(workspace, 'name') };
    }),
  };
}

function decodeOrganizations(value: unknown): Organization[] {
  return list(fields(value, 'organisations'), 'organizations', decodeOrganization);
}

const ORGANIZATIONS = '/api/v1/organizations';
export const organizationPath = (id: string) => `${ORGANIZATIONS}/${encodeURIComponent(id)}`;

export async function getOrganizations(): Promise<Organization[]> {
  return decoded(decodeOrganizations, await request('GET', ORGANIZATIONS));
}

export async function createOrganization(name: string): Promise<Organization> {
  return decoded(decodeOrganization, await request('POST', ORGANIZATIONS, { name }));
}

export async function getOrganization(id: string): Promise<Organization> {
  return decoded(decodeOrganization, await request('GET', organizationPath(id)));
}

export async function renameOrganization(id: string, name: string): Promise<Organization> {
  return decoded(decodeOrganization, await request('PATCH', organizationPath(id), { name }));
}

export async function setOrganizationMember(id: string, name: string, role: string): Promise<void> {
  await request('PUT', `${organizationPath(id)}/members`, { name, role });
}

export async function removeOrganizationMember(id: string, user: string): Promise<void> {
  await request('DELETE', `${organizationPath(id)}/members/${encodeURIComponent(user)}`);
}
