// Which view a path stands for. The gateway answers all of these with the same page.

export type Route = { view: 'workspaces' } | { view: 'session'; id: string } | { view: 'not_found' };

export function parseRoute(pathname: string): Route {
  if (pathname === '/') return { view: 'workspaces' };

  const match = /^\/sessions\/([^/]+)\/?$/.exec(pathname);
  if (match?.[1] !== undefined) {
    try {
      return { view: 'session', id: decodeURIComponent(match[1]) };
    } catch {
      return { view: 'not_found' };
    }
  }
  return { view: 'not_found' };
}

export function sessionHref(id: string): string {
  return `/sessions/${encodeURIComponent(id)}`;
}
