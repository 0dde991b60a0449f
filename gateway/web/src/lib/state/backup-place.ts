// Where backups go while it is edited, and the recovery sheet as a text.

import type { BackupRepository, NewBackupRepository, RecoverySheet } from '../api/backup';

export interface PlaceDraft {
  endpoint: string;
  bucket: string;
  prefix: string;
  region: string;
  keyId: string;
  /** Null: the one that the gateway has stays. */
  secretKey: string | null;
  sessionToken: string | null;
  addOnly: boolean;
}

export function placeDraft(repository: BackupRepository): PlaceDraft {
  const isSet = repository.key_id !== null;
  return {
    endpoint: repository.endpoint ?? '',
    bucket: repository.bucket ?? '',
    prefix: repository.prefix ?? '',
    region: repository.region ?? '',
    keyId: repository.key_id ?? '',
    secretKey: isSet ? null : '',
    sessionToken: isSet ? null : '',
    addOnly: repository.add_only,
  };
}

/** What is asked for: an empty field is left to the gateway. */
export function wantedPlace(draft: PlaceDraft, before: BackupRepository): NewBackupRepository {
  const given = (text: string | null) => (text === null || text.trim() === '' ? undefined : text.trim());
  const wanted: NewBackupRepository = {
    version: before.version,
    endpoint: draft.endpoint.trim().replace(/\/+$/, ''),
    bucket: draft.bucket.trim(),
    key_id: draft.keyId.trim(),
    add_only: draft.addOnly,
  };
  const prefix = given(draft.prefix);
  const region = given(draft.region);
  const secretKey = given(draft.secretKey);
  const sessionToken = given(draft.sessionToken);
  if (prefix !== undefined) wanted.prefix = prefix;
  if (region !== undefined) wanted.region = region;
  if (secretKey !== undefined) wanted.secret_key = secretKey;
  if (sessionToken !== undefined) wanted.session_token = sessionToken;
  return wanted;
}

/** The sheet as it is printed and saved. */
export function sheetText(sheet: RecoverySheet): string {
  const steps = sheet.steps.map((step, index) => `${index + 1}. ${step}`);
  return [
    `Berth: recovery sheet of the workspace ${sheet.workspace}`,
    '',
    `Repository:  ${sheet.repository}`,
    `Password:    ${sheet.password}`,
    `Access key:  ${sheet.key_id} (the key itself is in the server’s console)`,
    `Host:        ${sheet.host}`,
    '',
    'To restore without Berth:',
    ...steps,
    '',
  ].join('\n');
}
