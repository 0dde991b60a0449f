// The requests that the UI makes, one function each; those about organisations and invites stand beside their shapes.
// Same origin, cookie auth; failures are always `ApiError`.

import { type AuditFilter, type AuditPage, auditQuery, decodeAuditPage } from './audit';
import {
  type BackupEntry,
  type BackupRepository,
  type Backups,
  type NewBackupRepository,
  type RecoverySheet,
  type RestorePreview,
  type Snapshot,
  decodeBackupRepository,
  decodeBackups,
  decodeEntries,
  decodeRecoverySheet,
  decodeRestorePreview,
  decodeSnapshots,
} from './backup';
import {
  type Challenge,
  type CreatedToken,
  type Credentials,
  type Device,
  type Issuer,
  type Member,
  type Passkey,
  type Token,
  decodeChallenge,
  decodeCreatedToken,
  decodeCredentials,
  decodeDevices,
  decodeIssuer,
  decodeMember,
  decodeMembers,
  decodePasskey,
  decodeSignedIn,
  decodeTokens,
} from './account';
import {
  type Channel,
  type Channels,
  type NewChannel,
  type Preferences,
  decodeChannel,
  decodeChannels,
  decodePreferences,
} from './channels';
import {
  decodeCreatedShare,
  decodeMe,
  decodeOpenedShare,
  decodePreview,
  decodeSession,
  decodeShares,
  decodeTicket,
} from './decode';
import { type Environment, type NewEnvironment, decodeEnvironment } from './environment';
import type { Subject } from './events';
import {
  type PreviewLink,
  type PreviewRequest,
  decodeOpenedLink,
  decodePreviewLink,
  decodePreviewLinks,
  decodeRequests,
} from './preview';
import { type InboxPage, decodeInboxPage } from './inbox';
import { decoded, request } from './request';
import type { CreatedShare, Me, OpenedShare, Preview, Session, Share, Ticket, TicketWish } from './types';

/** For what has to be looked up in a repository, which may be far away and large. */
const LOOK_TIMEOUT_MS = 160_000;

const sessionPath = (id: string) => `/api/v1/sessions/${encodeURIComponent(id)}`;

export async function getMe(): Promise<Me> {
  return decoded(decodeMe, await request('GET', '/api/v1/me'));
}

export async function signOut(): Promise<void> {
  await request('POST', '/api/v1/sign-out');
}

/** Signs in, or proves again who is signed in. Tells where to go next. */
export async function signInWithPassword(name: string, password: string): Promise<string> {
  return decoded(decodeSignedIn, await request('POST', '/api/v1/sign-in/password', { name, password }));
}

/** The issuer by which one can sign in, beside the ways that are always there. */
export async function getIssuer(): Promise<Issuer | null> {
  return decoded(decodeIssuer, await request('GET', '/api/v1/sign-in/ways'));
}

export async function beginPasskeySignIn(): Promise<Challenge> {
  return decoded(decodeChallenge, await request('POST', '/api/v1/sign-in/passkey/begin'));
}

export async function signInWithPasskey(id: string, credential: unknown): Promise<string> {
  return decoded(decodeSignedIn, await request('POST', '/api/v1/sign-in/passkey', { id, credential }));
}

/** Makes an account and signs it in. */
export async function redeemInvite(code: string, name: string, password: string | null): Promise<void> {
  await request('POST', '/api/v1/invites/redeem', { code, name, password });
}

export async function getCredentials(): Promise<Credentials> {
  return decoded(decodeCredentials, await request('GET', '/api/v1/credentials'));
}

/** Signs out every other browser. */
export async function setPassword(password: string): Promise<void> {
  await request('PUT', '/api/v1/credentials/password', { password });
}

export async function beginPasskey(): Promise<Challenge> {
  return decoded(decodeChallenge, await request('POST', '/api/v1/credentials/passkeys/begin'));
}

export async function addPasskey(id: string, name: string, credential: unknown): Promise<Passkey> {
  const body = { id, name, credential };
  return decoded(decodePasskey, await request('POST', '/api/v1/credentials/passkeys', body));
}

export async function removePasskey(id: string): Promise<void> {
  await request('DELETE', `/api/v1/credentials/passkeys/${encodeURIComponent(id)}`);
}

export async function getDevices(): Promise<Device[]> {
  return decoded(decodeDevices, await request('GET', '/api/v1/devices'));
}

export async function endDevice(id: string): Promise<void> {
  await request('DELETE', `/api/v1/devices/${encodeURIComponent(id)}`);
}

export async function endOtherDevices(): Promise<void> {
  await request('DELETE', '/api/v1/devices');
}

export async function getTokens(): Promise<Token[]> {
  return decoded(decodeTokens, await request('GET', '/api/v1/tokens'));
}

export async function createToken(name: string, scope: string, seconds: number): Promise<CreatedToken> {
  const body = { name, scopes: [scope], expires_in_seconds: seconds };
  return decoded(decodeCreatedToken, await request('POST', '/api/v1/tokens', body));
}

export async function revokeToken(id: string): Promise<void> {
  await request('DELETE', `/api/v1/tokens/${encodeURIComponent(id)}`);
}

const membersPath = (workspaceId: string) => `/api/v1/workspaces/${encodeURIComponent(workspaceId)}/members`;

export async function getMembers(workspaceId: string): Promise<Member[]> {
  return decoded(decodeMembers, await request('GET', membersPath(workspaceId)));
}

export async function setMember(workspaceId: string, name: string, role: string): Promise<Member> {
  return decoded(decodeMember, await request('PUT', membersPath(workspaceId), { name, role }));
}

export async function removeMember(workspaceId: string, user: string): Promise<void> {
  await request('DELETE', `${membersPath(workspaceId)}/${encodeURIComponent(user)}`);
}

export async function createSession(workspaceId: string, name: string): Promise<Session> {
  const path = `/api/v1/workspaces/${encodeURIComponent(workspaceId)}/sessions`;
  return decoded(decodeSession, await request('POST', path, { name }));
}

export async function renameSession(id: string, name: string): Promise<Session> {
  return decoded(decodeSession, await request('PATCH', sessionPath(id), { name }));
}

export async function deleteSession(id: string): Promise<void> {
  await request('DELETE', sessionPath(id));
}

/** A ticket for one terminal connection: single use, good for seconds. */
export async function getTicket(sessionId: string, wish: TicketWish, signal?: AbortSignal): Promise<Ticket> {
  return decoded(decodeTicket, await request('POST', `${sessionPath(sessionId)}/ticket`, wish, signal));
}

export async function getSession(id: string): Promise<Session> {
  return decoded(decodeSession, await request('GET', sessionPath(id)));
}

export async function createShare(sessionId: string, name: string, seconds: number): Promise<CreatedShare> {
  const body = { name, expires_in_seconds: seconds };
  return decoded(decodeCreatedShare, await request('POST', `${sessionPath(sessionId)}/shares`, body));
}

export async function listShares(sessionId: string): Promise<Share[]> {
  return decoded(decodeShares, await request('GET', `${sessionPath(sessionId)}/shares`));
}

export async function endShare(sessionId: string, id: string): Promise<void> {
  await request('DELETE', `${sessionPath(sessionId)}/shares/${encodeURIComponent(id)}`);
}

/** Exchanges the code in a share's link for a cookie. It works once. */
export async function openShare(code: string): Promise<OpenedShare> {
  return decoded(decodeOpenedShare, await request('POST', '/api/v1/shares/open', { code }));
}

const previewsPath = (workspaceId: string) =>
  `/api/v1/workspaces/${encodeURIComponent(workspaceId)}/previews`;
const previewPath = (preview: Preview) =>
  `${previewsPath(preview.workspace_id)}/${encodeURIComponent(preview.id)}`;

export async function createPreview(workspaceId: string, port: number): Promise<Preview> {
  return decoded(decodePreview, await request('POST', previewsPath(workspaceId), { port }));
}

/** Public only after somebody was asked: see `PublicDialog`. */
export async function showPreviewTo(preview: Preview, visibility: 'private' | 'public'): Promise<void> {
  const body = { visibility, confirm_public: visibility === 'public' };
  await request('PATCH', previewPath(preview), body);
}

export async function setPreviewMode(preview: Preview, mode: string): Promise<void> {
  await request('PATCH', previewPath(preview), { mode });
}

export async function listPreviewLinks(preview: Preview): Promise<PreviewLink[]> {
  return decoded(decodePreviewLinks, await request('GET', `${previewPath(preview)}/links`));
}

export async function createPreviewLink(
  preview: Preview,
  name: string,
  seconds: number,
): Promise<PreviewLink> {
  const body = { name, expires_in_seconds: seconds };
  return decoded(decodePreviewLink, await request('POST', `${previewPath(preview)}/links`, body));
}

export async function endPreviewLink(preview: Preview, id: string): Promise<void> {
  await request('DELETE', `${previewPath(preview)}/links/${encodeURIComponent(id)}`);
}

/** Exchanges the code in a link for a cookie, and tells where the preview is. */
export async function openPreviewLink(code: string): Promise<string> {
  return decoded(decodeOpenedLink, await request('POST', '/api/v1/preview-links/open', { code }));
}

export const requestsPath = (preview: Preview) => `${previewPath(preview)}/requests`;

/** The last requests to a preview, and those that come. */
export function requestsOf(path: string): Subject<PreviewRequest[]> {
  return { path, decode: decodeRequests, completes: () => true };
}

export async function deletePreview(preview: Preview): Promise<void> {
  await request('DELETE', previewPath(preview));
}

const environmentPath = (workspaceId: string) =>
  `/api/v1/workspaces/${encodeURIComponent(workspaceId)}/environment`;

export async function getEnvironment(workspaceId: string): Promise<Environment> {
  return decoded(decodeEnvironment, await request('GET', environmentPath(workspaceId)));
}

/** Replaces the whole environment; what is named without a value keeps the one that it has. */
export async function putEnvironment(workspaceId: string, wanted: NewEnvironment): Promise<Environment> {
  return decoded(decodeEnvironment, await request('PUT', environmentPath(workspaceId), wanted));
}

const backupsPath = (workspaceId: string) => `/api/v1/workspaces/${encodeURIComponent(workspaceId)}/backups`;
const repositoryPath = (workspaceId: string) =>
  `/api/v1/workspaces/${encodeURIComponent(workspaceId)}/backup-repository`;

export async function getBackups(workspaceId: string): Promise<Backups> {
  return decoded(decodeBackups, await request('GET', backupsPath(workspaceId)));
}

/** Begins a backup, a check or an export, or ends what goes on. How far it is, is in the state. */
export async function actOnBackups(
  workspaceId: string,
  what: 'run' | 'check' | 'export' | 'cancel',
): Promise<Backups> {
  return decoded(decodeBackups, await request('POST', `${backupsPath(workspaceId)}/${what}`));
}

export async function restoreBackup(
  workspaceId: string,
  order: { snapshot: string; path: string; in_place: boolean },
): Promise<Backups> {
  return decoded(decodeBackups, await request('POST', `${backupsPath(workspaceId)}/restore`, order));
}

async function look(path: string, signal?: AbortSignal): Promise<unknown> {
  return request('GET', path, undefined, signal, LOOK_TIMEOUT_MS);
}

export async function getSnapshots(workspaceId: string, signal?: AbortSignal): Promise<Snapshot[]> {
  return decoded(decodeSnapshots, await look(`${backupsPath(workspaceId)}/snapshots`, signal));
}

const placePath = (workspaceId: string, what: string, snapshot: string, path: string) =>
  `${backupsPath(workspaceId)}/${what}?${new URLSearchParams({ snapshot, path }).toString()}`;

/** What is in a directory of a snapshot. */
export async function getBackupEntries(
  workspaceId: string,
  snapshot: string,
  path: string,
  signal?: AbortSignal,
): Promise<BackupEntry[]> {
  return decoded(decodeEntries, await look(placePath(workspaceId, 'entries', snapshot, path), signal));
}

export async function getRestorePreview(
  workspaceId: string,
  snapshot: string,
  path: string,
  signal?: AbortSignal,
): Promise<RestorePreview> {
  return decoded(decodeRestorePreview, await look(placePath(workspaceId, 'preview', snapshot, path), signal));
}

/** Where a file of a snapshot is downloaded from. */
export function backupFileHref(workspaceId: string, snapshot: string, path: string): string {
  return placePath(workspaceId, 'file', snapshot, path);
}

/** All files as one archive, which is made while it is read: a link, and not something to be held in memory. */
export function backupArchiveHref(workspaceId: string): string {
  return `${backupsPath(workspaceId)}/archive`;
}

export async function getBackupRepository(workspaceId: string): Promise<BackupRepository> {
  return decoded(decodeBackupRepository, await request('GET', repositoryPath(workspaceId)));
}

export async function putBackupRepository(
  workspaceId: string,
  wanted: NewBackupRepository,
): Promise<BackupRepository> {
  return decoded(decodeBackupRepository, await request('PUT', repositoryPath(workspaceId), wanted));
}

/** The recovery sheet. It is shown once. */
export async function takeRecoverySheet(workspaceId: string): Promise<RecoverySheet> {
  const path = `${repositoryPath(workspaceId)}/recovery-sheet`;
  return decoded(decodeRecoverySheet, await request('POST', path));
}

const notificationPath = (id: string) => `/api/v1/notifications/${encodeURIComponent(id)}`;

/** Older notifications: those before a place. */
export async function getNotifications(before: number | null): Promise<InboxPage> {
  const query = before === null ? '' : `?before=${before}`;
  return decoded(decodeInboxPage, await request('GET', `/api/v1/notifications${query}`));
}

export async function getAudit(
  filter: AuditFilter,
  limit: number,
  before: number | null,
): Promise<AuditPage> {
  return decoded(decodeAuditPage, await request('GET', auditQuery(filter, limit, before)));
}

export async function ackNotification(id: string): Promise<void> {
  await request('POST', `${notificationPath(id)}/ack`);
}

export async function markSeen(what: { session_id: string } | { up_to: number }): Promise<void> {
  await request('POST', '/api/v1/notifications/seen', what);
}

/** Types the answer into the pane that asks, if it still does. */
export async function answerNotification(
  id: string,
  answer: { choice: string } | { text: string },
): Promise<void> {
  await request('POST', `${notificationPath(id)}/answer`, answer);
}

/** For a number of seconds, or for good. */
export async function muteSession(id: string, seconds: number | null): Promise<void> {
  await request('PUT', `${sessionPath(id)}/mute`, seconds === null ? {} : { seconds });
}

export async function unmuteSession(id: string): Promise<void> {
  await request('DELETE', `${sessionPath(id)}/mute`);
}

export async function getPreferences(): Promise<Preferences> {
  return decoded(decodePreferences, await request('GET', '/api/v1/notifications/settings'));
}

export async function putPreferences(wanted: Preferences): Promise<Preferences> {
  return decoded(decodePreferences, await request('PUT', '/api/v1/notifications/settings', wanted));
}

const channelPath = (id: string) => `/api/v1/channels/${encodeURIComponent(id)}`;

export async function getChannels(): Promise<Channels> {
  return decoded(decodeChannels, await request('GET', '/api/v1/channels'));
}

export async function createChannel(wanted: NewChannel): Promise<Channel> {
  return decoded(decodeChannel, await request('POST', '/api/v1/channels', wanted));
}

export async function changeChannel(
  id: string,
  change: { escalation?: boolean; includes_text?: boolean; on?: boolean },
): Promise<Channel> {
  return decoded(decodeChannel, await request('PATCH', channelPath(id), change));
}

export async function deleteChannel(id: string): Promise<void> {
  await request('DELETE', channelPath(id));
}

/** What becomes of it is the channel's `last`. */
export async function testChannel(id: string): Promise<void> {
  await request('POST', `${channelPath(id)}/test`);
}

/** Where a session's terminal is connected to, with the page's own scheme and host. */
export function terminalUrl(sessionId: string): string {
  const url = new URL(`${sessionPath(sessionId)}/terminal`, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}
