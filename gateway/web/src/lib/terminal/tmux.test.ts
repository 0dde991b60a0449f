// The keys that buttons press.
import { describe, expect, it } from 'vitest';

import { keysFor, parsePrefix, promptKeys, searchAgainCommand, searchCommand } from './tmux';

it('presses the prefix, whichever it is, and tmux’s own key', () => {
  expect(keysFor('splitRight', 'b')).toBe('\x02%');
  expect(keysFor('zoom', 'a')).toBe('\x01z');
});

it.each([
  ['B', 'b'],
  [' a ', 'a'],
  ['', null],
  ['ab', null],
  ['1', null],
])('takes %j for the prefix %j', (text, prefix) => {
  expect(parsePrefix(text)).toBe(prefix);
});

describe('search', () => {
  it('is one command of tmux, whatever the words', () => {
    expect(searchCommand("it's $HOME; #{x}")).toBe(
      String.raw`copy-mode ; send-keys -X search-backward 'it'\''s $HOME; #{x}'`,
    );
  });

  it('can’t be ended by a control character', () => {
    expect(searchCommand('a\rkill-server\r')).not.toContain('\r');
  });

  it('goes on either way', () => {
    expect(searchAgainCommand('older')).toBe('send-keys -X search-again');
    expect(searchAgainCommand('newer')).toBe('send-keys -X search-reverse');
    expect(promptKeys('b')).toBe('\x02:');
  });
});
