// What the browser does with passkeys.

import type { Challenge } from './api/account';
import { ApiError } from './api/errors';

/** Browsers make passkeys for hosts with a name, and only where nobody on the way can change the page. */
export function passkeysHere(): boolean {
  return window.isSecureContext && 'PublicKeyCredential' in window && !isAddress(location.hostname);
}

export function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.includes(':');
}

/** Asks the browser for a new passkey. */
export async function makePasskey(challenge: Challenge): Promise<unknown> {
  const options = challenge.options as PublicKeyCredentialCreationOptionsJSON;
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return answered(await given(navigator.credentials.create({ publicKey })));
}

/** Asks the browser to sign with one. */
export async function usePasskey(challenge: Challenge): Promise<unknown> {
  const options = challenge.options as PublicKeyCredentialRequestOptionsJSON;
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return answered(await given(navigator.credentials.get({ publicKey })));
}

/** Browsers say why in words that are not for people, and mostly it is that somebody has pressed Cancel. */
async function given(asked: Promise<Credential | null>): Promise<Credential | null> {
  try {
    return await asked;
  } catch {
    return null;
  }
}

function answered(credential: Credential | null): unknown {
  if (credential instanceof PublicKeyCredential) return credential.toJSON();
  throw new ApiError(0, 'no_passkey', 'The browser gave no passkey. Try again, or use another way.');
}
