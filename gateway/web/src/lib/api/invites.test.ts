// Invites and organisations as they come from the gateway.
import { expect, it } from 'vitest';

import { decodeCreatedInvite, decodeInvites } from './invites';
import { decodeOrganization } from './organizations';

const plain = { id: 'inv-1', uses_left: 2, access: null, maker: null, created_at_ms: 1, expires_at_ms: 2 };
const access = { kind: 'organization', id: 'org-1', name: 'team', role: 'editor' };

it('reads an invite that leads somewhere, and one that does not', () => {
  const leading = { ...plain, access, maker: 'ana' };
  expect(decodeInvites({ invites: [plain, leading] })).toEqual([plain, leading]);
  expect(decodeCreatedInvite({ invite: plain, url: 'u', newer: 1 })).toEqual({ invite: plain, url: 'u' });
  expect(() => decodeInvites({ invites: [{ ...plain, access: { ...access, role: 1 } }] })).toThrow();
  expect(() => decodeInvites({ invites: [{ ...plain, uses_left: 'many' }] })).toThrow();
});

it('reads an organisation with who is in it and what is its', () => {
  const user = { id: 'usr-1', name: 'ana' };
  const organization = {
    id: 'org-1',
    name: 'team',
    role: 'owner',
    members: [{ user, role: 'owner' }],
    workspaces: [{ id: 'ws-1', name: 'main' }],
  };
  expect(decodeOrganization(organization)).toEqual(organization);
  expect(() => decodeOrganization({ ...organization, members: [{ user: null, role: 'owner' }] })).toThrow();
});
