// A command reaches tmux's prompt, and nothing else.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { Glass } from './predict/glass';
import { PROMPT_WAIT_MS, TmuxPrompt, promptIsOpen } from './tmux-prompt';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function prompt() {
  const sent: string[] = [];
  const at = { open: false };
  return {
    at,
    sent,
    prompt: new TmuxPrompt(
      () => at.open,
      (keys) => sent.push(keys),
    ),
  };
}

it('sends the line once the prompt is there', async () => {
  const { at, sent, prompt: p } = prompt();
  const outcome = p.run('\x02:', 'copy-mode');
  p.drawn();
  expect(sent).toEqual(['\x02:']);
  at.open = true;
  p.drawn();
  p.drawn();
  expect(sent).toEqual(['\x02:', 'copy-mode\r']);
  expect(await outcome).toBe(true);
});

it('sends nothing into a program when no prompt comes', async () => {
  const { at, sent, prompt: p } = prompt();
  const outcome = p.run('\x02:', 'copy-mode');
  expect(await p.run('\x02:', 'another')).toBe(false);
  vi.advanceTimersByTime(PROMPT_WAIT_MS);
  expect(await outcome).toBe(false);
  at.open = true;
  p.drawn();
  expect(sent).toEqual(['\x02:']);
});

it.each([
  [23, 1, ':', true],
  [0, 1, ':', true],
  [12, 1, ':', false],
  [23, 2, ':', false],
  [23, 1, '$', false],
])('a cursor in row %d, column %d, behind %j: open is %s', (row, column, cell, open) => {
  const glass: Glass = { columns: 80, cursor: { row, column }, cursorShown: true, cell: () => cell };
  expect(promptIsOpen(glass, 24)).toBe(open);
});
