// Accounts on the wire: what people prove with who they are, where they are signed in, tokens, members.

import { count, countOrNull, fields, list, text, textOrNull } from './decode';

export interface User {
  id: string;
  name: string;
}

/** A browser in which the user is signed in. */
export interface Device {
  id: string;
  device: string;
  this: boolean;
  created_at_ms: number;
  used_at_ms: number;
  expires_at_ms: number;
}

export interface Passkey {
  id: string;
  name: string;
  created_at_ms: number;
  used_at_ms: number | null;
}

export interface Credentials {
  password: boolean;
  passkeys: Passkey[];
  passkeys_available: boolean;
}

/** What lets a program act for the user. */
export interface Token {
  id: string;
  name: string;
  /** Each `all`, `read` or `previews`. */
  scopes: string[];
  created_at_ms: number;
  expires_at_ms: number;
  last_used_at_ms: number | null;
}

export interface CreatedToken {
  token: Token;
  secret: string;
}

export interface Member {
  user: User;
  /** `viewer`, `editor` or `owner`. */
  role: string;
  /** The role that they were added with; null when the workspace is theirs or their organisation's. */
  added: string | null;
}

/** What a browser is to sign with a passkey. */
export interface Challenge {
  id: string;
  options: unknown;
}

/** Signing in by an issuer, such as Clerk. */
export interface Issuer {
  name: string;
  /** The path that leads there. */
  url: string;
}

/** The issuer, or null when there is none. */
export function decodeIssuer(value: unknown): Issuer | null {
  const issuer = fields(value, 'ways')['issuer'];
  if (issuer === null || issuer === undefined) return null;
  const from = fields(issuer, 'issuer');
  return { name: text(from, 'name'), url: text(from, 'url') };
}

export function decodeUser(value: unknown): User {
  const from = fields(value, 'user');
  return { id: text(from, 'id'), name: text(from, 'name') };
}

function device(value: unknown): Device {
  const from = fields(value, 'device');
  return {
    id: text(from, 'id'),
    device: text(from, 'device'),
    this: from['this'] === true,
    created_at_ms: count(from, 'created_at_ms'),
    used_at_ms: count(from, 'used_at_ms'),
    expires_at_ms: count(from, 'expires_at_ms'),
  };
}

export function decodeDevices(value: unknown): Device[] {
  return list(fields(value, 'devices'), 'devices', device);
}

export function decodePasskey(value: unknown): Passkey {
  const from = fields(value, 'passkey');
  return {
    id: text(from, 'id'),
    name: text(from, 'name'),
    created_at_ms: count(from, 'created_at_ms'),
    used_at_ms: countOrNull(from, 'used_at_ms'),
  };
}

export function decodeCredentials(value: unknown): Credentials {
  const from = fields(value, 'credentials');
  return {
    password: from['password'] === true,
    passkeys: list(from, 'passkeys', decodePasskey),
    passkeys_available: from['passkeys_available'] === true,
  };
}

function token(value: unknown): Token {
  const from = fields(value, 'token');
  return {
    id: text(from, 'id'),
    name: text(from, 'name'),
    scopes: list(from, 'scopes', String),
    created_at_ms: count(from, 'created_at_ms'),
    expires_at_ms: count(from, 'expires_at_ms'),
    last_used_at_ms: countOrNull(from, 'last_used_at_ms'),
  };
}

export function decodeTokens(value: unknown): Token[] {
  return list(fields(value, 'tokens'), 'tokens', token);
}

export function decodeCreatedToken(value: unknown): CreatedToken {
  const from = fields(value, 'created token');
  return { token: token(from['token']), secret: text(from, 'secret') };
}

export function decodeMember(value: unknown): Member {
  const from = fields(value, 'member');
  return { user: decodeUser(from['user']), role: text(from, 'role'), added: textOrNull(from, 'added') };
}

export function decodeMembers(value: unknown): Member[] {
  return list(fields(value, 'members'), 'members', decodeMember);
}

export function decodeChallenge(value: unknown): Challenge {
  const from = fields(value, 'challenge');
  return { id: text(from, 'id'), options: fields(from['options'], 'options')['publicKey'] };
}

/** Where whoever has signed in wanted to go. */
export function decodeSignedIn(value: unknown): string {
  return text(fields(value, 'signed in'), 'next');
}
