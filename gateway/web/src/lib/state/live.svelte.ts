// The live picture as the views read it: fed by the event stream while somebody is signed in, and by the
// answers to the page's own requests, so that what one has just done is seen at once.

import { EventStream, type StreamState } from '../api/events';
import type { Mute, Notification } from '../api/inbox';
import type { LiveEvent, Session, Workspace, WorkspacePreviews } from '../api/types';
import { onWake } from '../wake';
import { auth } from './auth.svelte';
import { EMPTY, type Picture, apply, sessionsOf, workspacesInOrder } from './reducer';

class Live {
  #picture = $state.raw<Picture>(EMPTY);
  #stream = $state<StreamState>('connecting');
  #loaded = $state(false);

  readonly workspaces: Workspace[] = $derived(workspacesInOrder(this.#picture));

  get streamState(): StreamState {
    return this.#stream;
  }

  /** False until the first snapshot: nothing is known yet, which is not the same as nothing being there. */
  get loaded(): boolean {
    return this.#loaded;
  }

  workspace(id: string): Workspace | undefined {
    return this.#picture.workspaces.get(id);
  }

  session(id: string): Session | undefined {
    return this.#picture.sessions.get(id);
  }

  sessionsOf(workspaceId: string): Session[] {
    return sessionsOf(this.#picture, workspaceId);
  }

  previewsOf(workspaceId: string): WorkspacePreviews | undefined {
    return this.#picture.previews.get(workspaceId);
  }

  /** What is known of the inbox, newest first. */
  readonly notifications: Notification[] = $derived(
    [...this.#picture.notifications.values()].sort((a, b) => b.seq - a.seq),
  );

  get unread(): number {
    return this.#picture.inbox.unread;
  }

  get mutes(): Mute[] {
    return this.#picture.inbox.mutes;
  }

  apply(event: LiveEvent): void {
    this.#picture = apply(this.#picture, event);
    if (event.type === 'snapshot') this.#loaded = true;
  }

  /** Opens the stream; returns the function that closes it and forgets everything. */
  open(): () => void {
    const stream = new EventStream({
      onEvent: (event) => this.apply(event),
      onState: (state) => (this.#stream = state),
      onSignedOut: () => auth.lost(),
    });
    stream.start();
    const stopWatching = onWake(() => stream.nudge());
    return () => {
      stopWatching();
      stream.close();
      this.#picture = EMPTY;
      this.#loaded = false;
    };
  }
}

export const live = new Live();
