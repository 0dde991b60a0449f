// Texts that a user sends again and again, kept in the browser.

import { type Check, browser, recall, remember } from '../preferences';
import { cleanPaste } from './paste';

export interface Snippet {
  text: string;
  /** Whether Enter is pressed after it. */
  enter: boolean;
}

export const MAX_SNIPPETS = 50;
export const MAX_SNIPPET_LENGTH = 2_000;
const NAME = 'snippets';

export const areSnippets: Check<Snippet[]> = (value): value is Snippet[] =>
  Array.isArray(value) && value.length <= MAX_SNIPPETS && value.every(isSnippet);

function isSnippet(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { text, enter } = value as Record<string, unknown>;
  return typeof text === 'string' && text.length <= MAX_SNIPPET_LENGTH && typeof enter === 'boolean';
}

/** The list with one more; the same list when there is nothing to add, no room, or it is there already. */
export function added(list: readonly Snippet[], snippet: Snippet): readonly Snippet[] {
  const text = cleanPaste(snippet.text).slice(0, MAX_SNIPPET_LENGTH);
  const known = list.some((other) => other.text === text && other.enter === snippet.enter);
  return text.trim() === '' || known || list.length >= MAX_SNIPPETS ? list : [...list, { ...snippet, text }];
}

export function loadSnippets(): readonly Snippet[] {
  return recall(browser, NAME, areSnippets, []);
}

export function saveSnippets(list: readonly Snippet[]): void {
  remember(browser, NAME, list);
}
