// The rule for session names, checked before the gateway is asked; the gateway checks again and decides.

export const NAME_MAX_CHARACTERS = 64;

/** What is wrong with a name, as a sentence, or null. */
export function nameProblem(name: string): string | null {
  // Code points, as the gateway counts.
  const length = Array.from(name.trim()).length;
  if (length === 0) return 'Give the session a name.';
  if (length > NAME_MAX_CHARACTERS) {
    return `A name has at most ${NAME_MAX_CHARACTERS} characters; this one has ${length}.`;
  }
  return null;
}
