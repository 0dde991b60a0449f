// Paths and the names that may stand in the list.
import { expect, it } from 'vitest';

import { nameProblem } from './names';
import {
  backupsHref,
  environmentHref,
  membersHref,
  organizationHref,
  parseRoute,
  sessionHref,
  watchHref,
} from './route';

it.each([
  ['/', { view: 'workspaces' }],
  ['/sessions/ses-1', { view: 'session', id: 'ses-1' }],
  ['/sessions/ses-1/', { view: 'session', id: 'ses-1' }],
  [sessionHref('a/b c'), { view: 'session', id: 'a/b c' }],
  ['/inbox', { view: 'inbox' }],
  ['/settings/notifications', { view: 'notification_settings' }],
  ['/audit', { view: 'audit' }],
  ['/share', { view: 'share' }],
  [watchHref('ses-1'), { view: 'watch', id: 'ses-1' }],
  [environmentHref('a/b'), { view: 'environment', workspace: 'a/b' }],
  ['/workspaces/ws-1/environment/', { view: 'environment', workspace: 'ws-1' }],
  [backupsHref('a/b'), { view: 'backups', workspace: 'a/b' }],
  ['/workspaces/ws-1/backups/x', { view: 'not_found' }],
  [membersHref('a/b'), { view: 'members', workspace: 'a/b' }],
  ['/account', { view: 'account' }],
  ['/invite', { view: 'invite' }],
  ['/invites', { view: 'invites' }],
  ['/organizations', { view: 'organizations' }],
  [organizationHref('a/b'), { view: 'organization', id: 'a/b' }],
  ['/organizations/%', { view: 'not_found' }],
  ['/workspaces/ws-1', { view: 'not_found' }],
  ['/workspaces/%/environment', { view: 'not_found' }],
  ['/watch/', { view: 'not_found' }],
  ['/sessions', { view: 'not_found' }],
  ['/sessions/', { view: 'not_found' }],
  ['/sessions/a/b', { view: 'not_found' }],
  ['/sessions/%', { view: 'not_found' }],
  ['/sign-in', { view: 'not_found' }],
])('reads %s', (path, route) => {
  expect(parseRoute(path)).toEqual(route);
});

it('counts the characters of a name, not its UTF-16 units', () => {
  expect(nameProblem('🚢'.repeat(64))).toBeNull();
  expect(nameProblem('🚢'.repeat(65))).toContain('65');
  expect(nameProblem('  ')).not.toBeNull();
  expect(nameProblem(` ${'a'.repeat(64)} `)).toBeNull();
});
