// What backups are in words: runs, ends, durations, places in a snapshot.

import type { BackupRun, Running } from '../api/backup';

export interface Look {
  tone: 'good' | 'warn' | 'bad' | 'muted';
  icon: 'check' | 'alert' | 'off' | 'question' | 'play';
  word: string;
}

const OUTCOMES: Record<string, Look> = {
  good: { tone: 'good', icon: 'check', word: 'Good' },
  partial: { tone: 'warn', icon: 'alert', word: 'Something was left out' },
  failed: { tone: 'bad', icon: 'alert', word: 'Failed' },
  cancelled: { tone: 'muted', icon: 'off', word: 'Ended early' },
  lost: { tone: 'warn', icon: 'question', word: 'Broke off' },
};

export function outcomeLook(outcome: string | null): Look {
  if (outcome === null) return { tone: 'muted', icon: 'play', word: 'Goes on' };
  return OUTCOMES[outcome] ?? { tone: 'muted', icon: 'question', word: outcome };
}

const WORKS: Record<string, string> = {
  backup: 'Backup',
  restore: 'Restore',
  drill: 'Check',
  export: 'Export',
};

const REASONS: Record<string, string> = {
  scheduled: 'by schedule',
  suspend: 'before a suspension',
  asked: 'on demand',
  safety: 'before files were replaced',
};

export function runTitle({ work, reason }: Pick<BackupRun | Running, 'work' | 'reason'>): string {
  const why = REASONS[reason];
  const what = WORKS[work] ?? work;
  return why === undefined ? what : `${what} ${why}`;
}

/** Two units at most: nobody wants to know the seconds of an hour. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function countFiles(many: number): string {
  return many === 1 ? '1 file' : `${many} files`;
}

export const ROOT = '/user';

/** A path of the volume as its user knows it. */
export function shownPath(path: string): string {
  return path === ROOT ? 'all files' : path.slice(ROOT.length + 1);
}

/** Where a run put something: a restore in the user's files, an export in the bucket. */
export function shownPlace({ work, place }: Pick<BackupRun, 'work' | 'place'>): [string, string] | null {
  if (place === null) return null;
  return work === 'export' ? ['Stored as', place] : ['Restored to', shownPath(place)];
}

/** The directories on the way to a path, the first of them the root. */
export function wayTo(path: string): { name: string; path: string }[] {
  const way = [{ name: 'All files', path: ROOT }];
  if (path === ROOT) return way;
  let here = ROOT;
  for (const name of path.slice(ROOT.length + 1).split('/')) {
    here = `${here}/${name}`;
    way.push({ name, path: here });
  }
  return way;
}
