// The service worker: shows what the gateway pushes, also while no page is open, answers when a button is pressed, and
// tells the gateway that something was shown or acted on. It caches nothing.

import { type Message, actionsOf, carriedBy, choiceOf, readCarried, readMessage } from './message';

// `self` is typed as any worker's.
const worker = self as unknown as ServiceWorkerGlobalScope;

/** Options that browsers know and TypeScript's library does not. */
interface Options extends NotificationOptions {
  actions?: { action: string; title: string }[];
  renotify?: boolean;
}

const ICON = '/icon-192.png';

worker.addEventListener('install', (event) => event.waitUntil(worker.skipWaiting()));
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener('push', (event) => event.waitUntil(pushed(event.data)));
worker.addEventListener('notificationclick', (event) => event.waitUntil(clicked(event)));

async function pushed(data: PushMessageData | null): Promise<void> {
  let value: unknown = null;
  try {
    value = data?.json();
  } catch {
    // Shown all the same: the inbox knows more.
  }
  const message = readMessage(value);
  if (message.what === 'withdraw') await withdraw(message);
  else await show(message);
  await receipt(message.receipt, 'shown');
}

async function show(message: Message): Promise<void> {
  if (message.replaces_all) {
    for (const shown of await worker.registration.getNotifications()) {
      if (shown.tag !== message.tag) shown.close();
    }
  }
  const options: Options = {
    body: message.body,
    tag: message.tag,
    renotify: true,
    icon: ICON,
    badge: ICON,
    requireInteraction: message.urgent,
    actions: actionsOf(message),
    data: carriedBy(message),
  };
  await worker.registration.showNotification(message.title, options);
}

/** Browsers want something to be shown for every push, so what is over is replaced where nothing else is shown. */
async function withdraw(message: Message): Promise<void> {
  const shown = await worker.registration.getNotifications();
  const stale = shown.filter(({ tag }) => tag === message.tag);
  if (shown.length > stale.length) {
    for (const one of stale) one.close();
    return;
  }
  await worker.registration.showNotification(message.title, {
    tag: message.tag,
    silent: true,
    icon: ICON,
    badge: ICON,
    data: carriedBy(message),
  });
}

async function clicked(event: NotificationEvent): Promise<void> {
  const carried = readCarried(event.notification.data);
  const choice = choiceOf(event.action);
  event.notification.close();
  if (choice !== null && carried.notification !== null) {
    const refused = await answer(carried.notification, choice);
    if (refused !== null) {
      await worker.registration.showNotification('Not answered', {
        body: refused,
        tag: event.notification.tag,
        icon: ICON,
        badge: ICON,
        data: { ...carried, notification: null },
      });
      return;
    }
  } else {
    await open(carried.path);
  }
  await receipt(carried.receipt, 'acted');
}

/** Why it was not answered, as a sentence; null when it was. */
async function answer(notification: string, choice: string): Promise<string | null> {
  const path = `/api/v1/notifications/${encodeURIComponent(notification)}/answer`;
  try {
    const response = await post(path, { choice });
    if (response.ok) return null;
    if (response.status === 401) return 'Sign in at the console first.';
    const body = (await response.json()) as { error?: { message?: unknown } };
    const message = body.error?.message;
    return typeof message === 'string' ? message : `The gateway answered with status ${response.status}.`;
  } catch {
    return 'The gateway can’t be reached.';
  }
}

/** Into a page that is open, or a new one. */
async function open(path: string): Promise<void> {
  const url = new URL(path, worker.location.origin).href;
  const pages = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const [page] = pages.filter((one) => 'focus' in one);
  if (!page) {
    await worker.clients.openWindow(url);
    return;
  }
  await page.focus();
  if (page.url !== url) await page.navigate(url).catch(() => worker.clients.openWindow(url));
}

async function receipt(secret: string, what: 'shown' | 'acted'): Promise<void> {
  if (secret === '') return;
  try {
    await post('/api/v1/receipts', { receipt: secret, what });
  } catch {
    // The gateway knows less then; nothing else depends on it.
  }
}

function post(path: string, body: unknown): Promise<Response> {
  return fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    credentials: 'same-origin',
    redirect: 'error',
    body: JSON.stringify(body),
  });
}
