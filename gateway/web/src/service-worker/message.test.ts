// What a push may make the worker do, and what it may not.
import { describe, expect, it } from 'vitest';

import { actionsOf, choiceOf, readMessage, safePath } from './message';

describe('a message', () => {
  it('is shown whatever it is', () => {
    for (const nonsense of [null, 7, 'x', [], {}, { actions: [1, null] }]) {
      const message = readMessage(nonsense);
      expect([message.title, message.tag, message.path]).toEqual(['Berth', 'berth', '/inbox']);
    }
  });

  it.each(['https://evil.example/', '//evil.example/', '/\\evil.example', 'javascript:alert(1)', 'inbox'])(
    'leads nowhere but into the console: %s',
    (path) => expect(safePath(path)).toBe('/inbox'),
  );

  it('keeps paths of the console', () => {
    expect(safePath('/sessions/ses-1')).toBe('/sessions/ses-1');
  });

  it('has buttons for choices of its one notification', () => {
    const actions = [
      { choice: 'approve', label: 'Yes' },
      { choice: '2', label: '' },
      { choice: '', label: 'x' },
    ];
    const message = readMessage({ notification: 'ntf-1', actions });
    expect(actionsOf(message)).toEqual([
      { action: 'answer:approve', title: 'Yes' },
      { action: 'answer:2', title: '2' },
    ]);
    expect(actionsOf(readMessage({ actions }))).toEqual([]);
    expect(choiceOf('answer:approve')).toBe('approve');
    expect(choiceOf('')).toBeNull();
  });
});
