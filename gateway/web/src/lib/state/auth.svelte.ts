// Who is signed in. Sign-in itself is the gateway's: a one-time link sets a cookie and comes back here, or
// comes back with `?sign_in=failed`.

import { getMe, signOut } from '../api/client';
import { type ApiError, toApiError } from '../api/errors';
import type { Me } from '../api/types';
import { Backoff } from '../backoff';

type AuthState =
  | { is: 'checking' }
  | { is: 'unreachable'; error: ApiError }
  | { is: 'signed_out' }
  | { is: 'signed_in'; me: Me };

class Auth {
  #state = $state.raw<AuthState>({ is: 'checking' });
  #linkFailed = $state(false);
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #backoff = new Backoff();

  get state(): AuthState {
    return this.#state;
  }

  /** The sign-in link that led here had been used or had expired. */
  get linkFailed(): boolean {
    return this.#linkFailed;
  }

  /** Asks the gateway who we are, until it says. */
  async check(): Promise<void> {
    this.#takeLinkFailure();
    clearTimeout(this.#retry);
    try {
      this.#state = { is: 'signed_in', me: await getMe() };
    } catch (cause) {
      const error = toApiError(cause);
      if (error.signedOut) {
        this.#state = { is: 'signed_out' };
      } else {
        this.#state = { is: 'unreachable', error };
        this.#retry = setTimeout(() => void this.check(), this.#backoff.next());
      }
    }
  }

  /** Any request answered 401 ends here. */
  lost(): void {
    this.#state = { is: 'signed_out' };
  }

  async signOut(): Promise<void> {
    await signOut();
    this.#linkFailed = false;
    this.lost();
  }

  dismissLinkFailure(): void {
    this.#linkFailed = false;
  }

  /** Remembers the failure and clears it from the address, so that a reload doesn't repeat it. */
  #takeLinkFailure(): void {
    const url = new URL(location.href);
    if (url.searchParams.get('sign_in') !== 'failed') return;
    this.#linkFailed = true;
    url.searchParams.delete('sign_in');
    history.replaceState(null, '', url);
  }
}

export const auth = new Auth();

/** For `catch` blocks: the error to show, or null because the page is now signed out. */
export function shownError(cause: unknown): ApiError | null {
  const error = toApiError(cause);
  if (!error.signedOut) return error;
  auth.lost();
  return null;
}
