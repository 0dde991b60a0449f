// Web Push on this browser: whether it can, whether it may, and whether it does. The worker that shows what comes is
// registered only when somebody wants it.

import { createChannel } from '../api/client';

export type PushState =
  | 'unknown'
  /** The browser has no Web Push. */
  | 'unsupported'
  /** Without https there is none. */
  | 'insecure'
  /** An iPhone or iPad has it for apps on the home screen only. */
  | 'needs_install'
  /** The user has forbidden it, and only the browser's settings can undo that. */
  | 'denied'
  | 'off'
  | 'on';

const WORKER = '/service-worker.js';

/** Whether the browser is one of Apple's for phones and tablets, and the page is not on the home screen. */
function needsInstall(): boolean {
  const apple = /iPad|iPhone|iPod/.test(navigator.userAgent) || isTablet();
  return apple && !matchMedia('(display-mode: standalone)').matches;
}

/** An iPad says that it is a Mac; no Mac has a touch screen. */
function isTablet(): boolean {
  return navigator.userAgent.includes('Macintosh') && navigator.maxTouchPoints > 1;
}

/** Base64url, as the gateway says its key, in the bytes that browsers want. */
export function keyBytes(key: string): Uint8Array<ArrayBuffer> {
  const binary = atob(key.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}

/** What to call this browser in the list of channels. */
export function browserName(agent: string): string {
  const browser = agent.includes('Edg/')
    ? 'Edge'
    : agent.includes('Firefox/')
      ? 'Firefox'
      : agent.includes('Chrome/')
        ? 'Chrome'
        : 'Safari';
  const system = agent.includes('Android')
    ? 'Android'
    : /iPhone|iPad/.test(agent)
      ? 'iOS'
      : agent.includes('Mac')
        ? 'macOS'
        : agent.includes('Windows')
          ? 'Windows'
          : 'Linux';
  return `${browser} on ${system}`;
}

function same(buffer: ArrayBuffer | null, key: Uint8Array): boolean {
  const bytes = new Uint8Array(buffer ?? new ArrayBuffer(0));
  return bytes.length === key.length && bytes.every((byte, index) => byte === key[index]);
}

class Push {
  #state = $state<PushState>('unknown');

  get state(): PushState {
    return this.#state;
  }

  /** Finds out how things stand. */
  async look(): Promise<void> {
    if (!isSecureContext) this.#state = 'insecure';
    else if (!('serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window)) {
      this.#state = needsInstall() ? 'needs_install' : 'unsupported';
    } else if (Notification.permission === 'denied') this.#state = 'denied';
    else {
      const registration = await navigator.serviceWorker.getRegistration(WORKER);
      const subscription = await registration?.pushManager.getSubscription();
      this.#state = subscription ? 'on' : 'off';
    }
  }

  /** Asks for the right, subscribes, and makes it a channel. */
  async turnOn(publicKey: string): Promise<void> {
    const permission = await Notification.requestPermission();
    if (permission !== 'granted') {
      await this.look();
      return;
    }
    await navigator.serviceWorker.register(WORKER, { type: 'module' });
    const { pushManager } = await navigator.serviceWorker.ready;
    const key = keyBytes(publicKey);
    let known = await pushManager.getSubscription();
    // A subscription that was made for another key is of no use.
    if (known && !same(known.options.applicationServerKey, key)) {
      await known.unsubscribe();
      known = null;
    }
    const subscription =
      known ?? (await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
    const { endpoint, keys } = subscription.toJSON();
    await createChannel({
      name: browserName(navigator.userAgent),
      target: {
        kind: 'web_push',
        endpoint: endpoint ?? '',
        p256dh: keys?.['p256dh'] ?? '',
        auth: keys?.['auth'] ?? '',
      },
      escalation: false,
      includes_text: true,
    });
    await this.look();
  }

  async turnOff(): Promise<void> {
    const registration = await navigator.serviceWorker.getRegistration(WORKER);
    const subscription = await registration?.pushManager.getSubscription();
    // The push service answers the next message with 410, and the gateway removes the channel.
    await subscription?.unsubscribe();
    await this.look();
  }
}

export const push = new Push();
