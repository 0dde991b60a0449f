// Who is signed in. Sign-in itself is the gateway's: a one-time link, or the issuer, sets a cookie and comes back here, or
// comes back with `?sign_in=` and why not.

import { getMe, signOut } from '../api/client';
import { type ApiError, toApiError } from '../api/errors';
import type { Me } from '../api/types';
import { Backoff } from '../backoff';

type AuthState =
  | { is: 'checking' }
  | { is: 'unreachable'; error: ApiError }
  | { is: 'signed_out' }
  | { is: 'signed_in'; me: Me };

/** What is said when a sign-in came to nothing, by the gateway's word for it. */
const FAILURES: Record<string, string> = {
  failed: 'That sign-in link was already used or has expired. Each link works once; ask for a new one.',
  issuer_failed: 'That sign-in did not work. Begin it again here, and finish it in the same browser.',
  issuer_denied: 'Nobody was signed in there. Try again, or use another way.',
  issuer_unavailable: 'The other side does not answer. Try again in a moment, or use another way.',
  no_account: 'You have no account here. Ask the operator for one, or use another way.',
};

class Auth {
  #state = $state.raw<AuthState>({ is: 'checking' });
  #failure = $state.raw<string | null>(null);
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #backoff = new Backoff();

  get state(): AuthState {
    return this.#state;
  }

  /** Why the sign-in that led here came to nothing, if one did. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Asks the gateway who we are, until it says. */
  async check(): Promise<void> {
    this.#takeFailure();
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
    this.#failure = null;
    this.lost();
  }

  dismissFailure(): void {
    this.#failure = null;
  }

  /** Remembers the failure and clears it from the address, so that a reload doesn't repeat it. */
  #takeFailure(): void {
    const url = new URL(location.href);
    const why = url.searchParams.get('sign_in');
    if (why === null) return;
    this.#failure = FAILURES[why] ?? null;
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
