// Which view a path stands for. The gateway answers all of these with the same page.

export type Route =
  | { view: 'workspaces' }
  | { view: 'session'; id: string }
  | { view: 'environment'; workspace: string }
  | { view: 'backups'; workspace: string }
  | { view: 'inbox' }
  | { view: 'notification_settings' }
  | { view: 'audit' }
  | { view: 'account' }
  | { view: 'members'; workspace: string }
  | { view: 'organizations' }
  | { view: 'organization'; id: string }
  /** Invites that were made, and to be made. */
  | { view: 'invites' }
  /** Somebody follows an invite. */
  | { view: 'invite' }
  /** A guest follows a share's link ... */
  | { view: 'share' }
  /** ... and watches the session that it leads to. */
  | { view: 'watch'; id: string }
  /** Somebody follows a link to a preview. */
  | { view: 'preview_link' }
  | { view: 'not_found' };

export const INBOX = '/inbox';
export const ACCOUNT = '/account';
export const NOTIFICATION_SETTINGS = '/settings/notifications';
export const AUDIT = '/audit';
export const ORGANIZATIONS = '/organizations';
export const INVITES = '/invites';

/** Views of one thing, by the first word of their paths. */
const VIEWS = { sessions: 'session', watch: 'watch', organizations: 'organization' } as const;

export function parseRoute(pathname: string): Route {
  if (pathname === '/') return { view: 'workspaces' };

  if (pathname === INBOX) return { view: 'inbox' };
  if (pathname === NOTIFICATION_SETTINGS) return { view: 'notification_settings' };
  if (pathname === AUDIT) return { view: 'audit' };
  if (pathname === ACCOUNT) return { view: 'account' };
  if (pathname === ORGANIZATIONS) return { view: 'organizations' };
  if (pathname === INVITES) return { view: 'invites' };
  if (pathname === '/invite') return { view: 'invite' };
  if (pathname === '/share') return { view: 'share' };

  if (pathname === '/preview-link') return { view: 'preview_link' };

  const part = /^\/workspaces\/([^/]+)\/(environment|backups|members)\/?$/.exec(pathname);
  if (part?.[1] !== undefined) {
    try {
      const view = part[2] as 'environment' | 'backups' | 'members';
      return { view, workspace: decodeURIComponent(part[1]) };
    } catch {
      return { view: 'not_found' };
    }
  }

  const match = /^\/(sessions|watch|organizations)\/([^/]+)\/?$/.exec(pathname);
  if (match?.[1] !== undefined && match[2] !== undefined) {
    try {
      const view = VIEWS[match[1] as keyof typeof VIEWS];
      return { view, id: decodeURIComponent(match[2]) };
    } catch {
      return { view: 'not_found' };
    }
  }
  return { view: 'not_found' };
}

export function sessionHref(id: string): string {
  return `/sessions/${encodeURIComponent(id)}`;
}

export function environmentHref(workspace: string): string {
  return `/workspaces/${encodeURIComponent(workspace)}/environment`;
}

export function backupsHref(workspace: string): string {
  return `/workspaces/${encodeURIComponent(workspace)}/backups`;
}

export function membersHref(workspace: string): string {
  return `/workspaces/${encodeURIComponent(workspace)}/members`;
}

export function organizationHref(id: string): string {
  return `${ORGANIZATIONS}/${encodeURIComponent(id)}`;
}

export function watchHref(id: string): string {
  return `/watch/${encodeURIComponent(id)}`;
}
