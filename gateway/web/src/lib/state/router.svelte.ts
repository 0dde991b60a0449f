// Keeps the route in step with the address bar. Links stay ordinary `<a href>`: a plain click on one that
// leads to a view is turned into a history entry, everything else is left to the browser.

import { type Route, parseRoute } from './route';

class Router {
  #route = $state.raw<Route>(parseRoute(location.pathname));

  get route(): Route {
    return this.#route;
  }

  navigate(href: string): void {
    history.pushState(null, '', href);
    this.#sync();
    scrollTo(0, 0);
  }

  /** Puts another address in place of this one, which is not to be come back to. */
  replace(href: string): void {
    history.replaceState(null, '', href);
    this.#sync();
  }

  /** Starts listening; returns the function that stops it. */
  listen(): () => void {
    const onPopState = () => this.#sync();
    const onClick = (event: MouseEvent) => this.#clicked(event);
    addEventListener('popstate', onPopState);
    document.addEventListener('click', onClick);
    return () => {
      removeEventListener('popstate', onPopState);
      document.removeEventListener('click', onClick);
    };
  }

  #sync(): void {
    this.#route = parseRoute(location.pathname);
  }

  #clicked(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (!(event.target instanceof Element)) return;

    const link = event.target.closest('a');
    if (link?.target !== '' || link.origin !== location.origin) return;
    if (parseRoute(link.pathname).view === 'not_found') return;
    event.preventDefault();
    this.navigate(link.pathname + link.search);
  }
}

export const router = new Router();
