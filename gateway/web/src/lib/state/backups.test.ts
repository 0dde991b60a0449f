// Words for backups, and the way to a directory.
import { expect, it } from 'vitest';

import { formatDuration, outcomeLook, runTitle, shownPath, shownPlace, wayTo } from './backups';

it('names what is known and passes on what is not', () => {
  expect(runTitle({ work: 'backup', reason: 'suspend' })).toBe('Backup before a suspension');
  expect(runTitle({ work: 'dance', reason: 'fun' })).toBe('dance');
  expect(outcomeLook('good').tone).toBe('good');
  expect(outcomeLook(null).word).toBe('Goes on');
  expect(outcomeLook('new').word).toBe('new');
});

it.each([
  [0, '0 s'],
  [59_400, '59 s'],
  [61_000, '1 min 1 s'],
  [7_380_000, '2 h 3 min'],
])('says %i ms as %s', (ms, said) => {
  expect(formatDuration(ms)).toBe(said);
});

it('leads to a directory step by step', () => {
  expect(wayTo('/user').map(({ path }) => path)).toEqual(['/user']);
  expect(wayTo('/user/a b/c')).toEqual([
    { name: 'All files', path: '/user' },
    { name: 'a b', path: '/user/a b' },
    { name: 'c', path: '/user/a b/c' },
  ]);
  expect(shownPath('/user/a/b')).toBe('a/b');
});

it('says where a restore or an export is', () => {
  expect(shownPlace({ work: 'restore', place: '/user/restored/x' })).toEqual(['Restored to', 'restored/x']);
  expect(shownPlace({ work: 'export', place: 's3://b/k' })).toEqual(['Stored as', 's3://b/k']);
  expect(shownPlace({ work: 'backup', place: null })).toBeNull();
});
