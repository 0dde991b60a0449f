// What is asked for when where backups go is changed, and the sheet's text.
import { expect, it } from 'vitest';

import type { BackupRepository } from '../api/backup';
import { placeDraft, sheetText, wantedPlace } from './backup-place';

const NONE: BackupRepository = {
  version: 0,
  endpoint: null,
  bucket: null,
  prefix: null,
  region: null,
  key_id: null,
  add_only: false,
  recovery_sheet: false,
};

const SET: BackupRepository = {
  ...NONE,
  version: 7,
  endpoint: 'https://s3.example.org',
  bucket: 'boxes',
  prefix: 'main',
  region: 'auto',
  key_id: 'K',
};

it('leaves to the gateway what is empty', () => {
  const draft = { ...placeDraft(NONE), endpoint: ' https://s3.example.org/ ', bucket: 'b', keyId: 'K' };
  expect(wantedPlace({ ...draft, secretKey: 's ' }, NONE)).toEqual({
    version: 0,
    endpoint: 'https://s3.example.org',
    bucket: 'b',
    key_id: 'K',
    secret_key: 's',
    add_only: false,
  });
});

it('keeps the key that is known until another is typed', () => {
  const draft = placeDraft(SET);
  expect(draft.secretKey).toBeNull();
  expect(wantedPlace(draft, SET)).toEqual({
    version: 7,
    endpoint: 'https://s3.example.org',
    bucket: 'boxes',
    prefix: 'main',
    region: 'auto',
    key_id: 'K',
    add_only: false,
  });
  expect(wantedPlace({ ...draft, secretKey: 'new' }, SET).secret_key).toBe('new');
});

it('has all of a sheet in its text', () => {
  const text = sheetText({
    workspace: 'main',
    repository: 's3:https://x/y/z',
    password: 'aaaa-bbbb',
    key_id: 'K',
    host: 'ws-1',
    steps: ['first', 'second'],
  });
  for (const part of ['main', 's3:https://x/y/z', 'aaaa-bbbb', 'K', 'ws-1', '1. first', '2. second']) {
    expect(text).toContain(part);
  }
});
