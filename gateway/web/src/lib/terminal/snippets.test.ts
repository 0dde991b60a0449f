// The list of snippets, and what is believed of a browser's storage.
import { expect, it } from 'vitest';

import { recall, remember } from '../preferences';
import { MAX_SNIPPETS, added, areSnippets } from './snippets';

function storage(): Storage {
  const items = new Map<string, string>();
  return {
    getItem: (name: string) => items.get(name) ?? null,
    setItem: (name: string, value: string) => items.set(name, value),
  } as unknown as Storage;
}

it('grows by what is new and says something', () => {
  const list = added([], { text: 'git status\x1b', enter: true });
  expect(list).toEqual([{ text: 'git status', enter: true }]);
  expect(added(list, { text: 'git status', enter: true })).toBe(list);
  expect(added(list, { text: ' \n', enter: true })).toBe(list);
  expect(added(list, { text: 'git status', enter: false })).toHaveLength(2);
  const full = Array.from({ length: MAX_SNIPPETS }, (_, n) => ({ text: `${n}`, enter: true }));
  expect(added(full, { text: 'one more', enter: true })).toBe(full);
});

it('survives its storage', () => {
  const kept = storage();
  remember(() => kept, 'snippets', [{ text: 'ls', enter: true }]);
  expect(recall(() => kept, 'snippets', areSnippets, [])).toEqual([{ text: 'ls', enter: true }]);
});

it.each(['not JSON', '{}', '[{"text":1,"enter":true}]', '[null]', '[{"text":"x"}]'])(
  'does not believe %s',
  (text) => {
    const kept = storage();
    kept.setItem('berth.snippets', text);
    expect(recall(() => kept, 'snippets', areSnippets, [])).toEqual([]);
  },
);

it('does without storage', () => {
  const none = () => {
    throw new Error('forbidden');
  };
  remember(none, 'snippets', []);
  expect(recall(none, 'snippets', areSnippets, [])).toEqual([]);
});
