// The states of a terminal connection and what the gateway's answers mean for them. Pure tables and rules;
// `connection.ts` acts on them.

import type { ApiError } from '../api/errors';

export type TerminalState =
  | 'connecting' // on the way, for the first time or again
  | 'live' // what is typed arrives
  | 'stalled' // connected, but nothing has been heard for a while
  | 'offline' // the box can't be reached; trying again
  | 'gone' // the session does not exist (any more); final
  | 'revoked' // this user's access has ended; final
  | 'refused'; // the gateway won't have this connection; final

export interface TerminalStatus {
  state: TerminalState;
  /** A sentence for people, where there is more to say than the state. */
  message: string | null;
  requestId: string | null;
  roundTripMs: number | null;
}

export const FINAL_STATES: readonly TerminalState[] = ['gone', 'revoked', 'refused'];

export function isFinal(state: TerminalState): boolean {
  return FINAL_STATES.includes(state);
}

export interface Verdict {
  state: TerminalState;
  message: string | null;
}

/** What the end of a socket means. `said` is the `closing` message that came before it, if one did. */
export function verdictOfClose(code: number, said: string | null): Verdict {
  switch (code) {
    case 4001:
      return { state: 'revoked', message: said ?? 'Your access to this session has ended.' };
    case 4004:
      return { state: 'gone', message: said ?? 'This session no longer exists.' };
    case 1008:
      return { state: 'refused', message: said ?? 'The gateway refused this connection.' };
    case 4503:
      return { state: 'offline', message: said ?? 'The connection to the box was lost.' };
    case 1012:
      return { state: 'connecting', message: said ?? 'The gateway is restarting.' };
    default:
      return { state: 'connecting', message: said };
  }
}

/** What a failed request for a ticket means; null when the page as a whole is signed out. */
export function verdictOfTicketError(error: ApiError): Verdict | null {
  if (error.signedOut) return null;
  if (error.status === 404) return { state: 'gone', message: error.message };
  if (error.status === 403) return { state: 'refused', message: error.message };
  if (error.kind === 'box_offline') return { state: 'offline', message: error.message };
  return { state: 'connecting', message: error.message };
}
