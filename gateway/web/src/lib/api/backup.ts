// Backups on the wire: how a box says they are, what is in them, and where they go. Keys go in and never come back.

import {
  count,
  countOrNull,
  decodeList,
  fields,
  flag,
  list,
  optional,
  plainText,
  some,
  text,
  textOrNull,
} from './decode';

/** How a box's backups are. Its words are claims, and text. */
export interface Backups {
  repository: string | null;
  running: Running | null;
  next_ms: number | null;
  last_good_ms: number | null;
  /** Read back and found right: what can be relied on. */
  last_verified_ms: number | null;
  alarms: string[];
  /** Newest first. */
  history: BackupRun[];
}

export interface Running {
  run: number;
  /** `backup`, `restore`, `drill`, `export`. */
  work: string;
  reason: string;
  began_ms: number;
  phase: string;
  progress: { percent: number; files: number; bytes: number; total_bytes: number } | null;
  waiting: string | null;
}

export interface BackupRun {
  run: number;
  work: string;
  /** `scheduled`, `suspend`, `asked`, `safety`. */
  reason: string;
  began_ms: number;
  ended_ms: number | null;
  /** `good`, `partial`, `failed`, `cancelled`, `lost`; null: it goes on. */
  outcome: string | null;
  problem: { kind: string; message: string } | null;
  snapshot: string | null;
  files: number;
  bytes: number;
  added_bytes: number;
  warnings: string[];
  phases: { name: string; millis: number }[];
  /** Where a restore put things, or an export is. */
  place: string | null;
}

export interface Snapshot {
  id: string;
  time_ms: number;
  files: number;
  bytes: number;
}

export interface BackupEntry {
  path: string;
  name: string;
  /** `file`, `directory`, `link` or `other`. */
  kind: string;
  size: number;
  changed_ms: number;
  mode: string;
}

/** What restoring in place would change. */
export interface RestorePreview {
  files: number;
  bytes: number;
  added: number;
  replaced: number;
  same: number;
  moved_aside: number;
  is_cut: boolean;
  differences: { path: string; how: string }[];
}

/** Where backups go, without key and password. */
export interface BackupRepository {
  version: number;
  endpoint: string | null;
  bucket: string | null;
  prefix: string | null;
  region: string | null;
  key_id: string | null;
  add_only: boolean;
  recovery_sheet: boolean;
}

export interface NewBackupRepository {
  version: number;
  endpoint: string;
  bucket: string;
  prefix?: string;
  region?: string;
  key_id: string;
  secret_key?: string;
  session_token?: string;
  add_only: boolean;
}

export interface RecoverySheet {
  workspace: string;
  repository: string;
  password: string;
  key_id: string;
  host: string;
  steps: string[];
}

function running(value: unknown): Running {
  const from = fields(value, 'running');
  return {
    run: count(from, 'run'),
    work: text(from, 'work'),
    reason: text(from, 'reason'),
    began_ms: count(from, 'began_ms'),
    phase: text(from, 'phase'),
    progress: optional(from['progress'], (value) => {
      const progress = fields(value, 'progress');
      return {
        percent: count(progress, 'percent'),
        files: count(progress, 'files'),
        bytes: count(progress, 'bytes'),
        total_bytes: count(progress, 'total_bytes'),
      };
    }),
    waiting: textOrNull(from, 'waiting'),
  };
}

function run(value: unknown): BackupRun {
  const from = fields(value, 'run');
  return {
    run: count(from, 'run'),
    work: text(from, 'work'),
    reason: text(from, 'reason'),
    began_ms: count(from, 'began_ms'),
    ended_ms: countOrNull(from, 'ended_ms'),
    outcome: textOrNull(from, 'outcome'),
    problem: optional(from['problem'], (value) => {
      const problem = fields(value, 'problem');
      return { kind: text(problem, 'kind'), message: text(problem, 'message') };
    }),
    snapshot: textOrNull(from, 'snapshot'),
    files: count(from, 'files'),
    bytes: count(from, 'bytes'),
    added_bytes: count(from, 'added_bytes'),
    warnings: some(from, 'warnings', plainText),
    phases: some(from, 'phases', (value) => {
      const phase = fields(value, 'phase');
      return { name: text(phase, 'name'), millis: count(phase, 'millis') };
    }),
    place: textOrNull(from, 'place'),
  };
}

export function decodeBackups(value: unknown): Backups {
  const from = fields(value, 'backups');
  return {
    repository: textOrNull(from, 'repository'),
    running: optional(from['running'], running),
    next_ms: countOrNull(from, 'next_ms'),
    last_good_ms: countOrNull(from, 'last_good_ms'),
    last_verified_ms: countOrNull(from, 'last_verified_ms'),
    alarms: some(from, 'alarms', plainText),
    history: some(from, 'history', run),
  };
}

export function decodeSnapshots(value: unknown): Snapshot[] {
  return decodeList(value, (entry) => {
    const from = fields(entry, 'snapshot');
    return {
      id: text(from, 'id'),
      time_ms: count(from, 'time_ms'),
      files: count(from, 'files'),
      bytes: count(from, 'bytes'),
    };
  });
}

export function decodeEntries(value: unknown): BackupEntry[] {
  return decodeList(value, (entry) => {
    const from = fields(entry, 'entry');
    return {
      path: text(from, 'path'),
      name: text(from, 'name'),
      kind: text(from, 'kind'),
      size: count(from, 'size'),
      changed_ms: count(from, 'changed_ms'),
      mode: text(from, 'mode'),
    };
  });
}

export function decodeRestorePreview(value: unknown): RestorePreview {
  const from = fields(value, 'preview');
  return {
    files: count(from, 'files'),
    bytes: count(from, 'bytes'),
    added: count(from, 'added'),
    replaced: count(from, 'replaced'),
    same: count(from, 'same'),
    moved_aside: count(from, 'moved_aside'),
    is_cut: flag(from, 'is_cut'),
    differences: list(from, 'differences', (entry) => {
      const difference = fields(entry, 'difference');
      return { path: text(difference, 'path'), how: text(difference, 'how') };
    }),
  };
}

export function decodeBackupRepository(value: unknown): BackupRepository {
  const from = fields(value, 'repository');
  return {
    version: count(from, 'version'),
    endpoint: textOrNull(from, 'endpoint'),
    bucket: textOrNull(from, 'bucket'),
    prefix: textOrNull(from, 'prefix'),
    region: textOrNull(from, 'region'),
    key_id: textOrNull(from, 'key_id'),
    add_only: flag(from, 'add_only'),
    recovery_sheet: flag(from, 'recovery_sheet'),
  };
}

export function decodeRecoverySheet(value: unknown): RecoverySheet {
  const from = fields(value, 'sheet');
  return {
    workspace: text(from, 'workspace'),
    repository: text(from, 'repository'),
    password: text(from, 'password'),
    key_id: text(from, 'key_id'),
    host: text(from, 'host'),
    steps: list(from, 'steps', plainText),
  };
}
