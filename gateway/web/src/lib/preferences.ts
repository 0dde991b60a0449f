// What the browser remembers of a user's choices. Never needed: storage may be full, forbidden or full of what
// somebody else wrote, and then the default holds.

const PREFIX = 'berth.';

export type Check<T> = (value: unknown) => value is T;

/** The remembered value, if there is one of the right shape. */
export function recall<T>(storage: () => Storage, name: string, check: Check<T>, otherwise: T): T {
  try {
    const value: unknown = JSON.parse(storage().getItem(PREFIX + name) ?? 'null');
    return check(value) ? value : otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(storage: () => Storage, name: string, value: unknown): void {
  try {
    storage().setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // The choice holds for as long as the page does.
  }
}

/** For this browser. */
export const browser = () => localStorage;
/** For this tab. */
export const tab = () => sessionStorage;

export const isBoolean: Check<boolean> = (value) => typeof value === 'boolean';
export const isNumber: Check<number> = (value): value is number =>
  typeof value === 'number' && Number.isFinite(value);
export const isString: Check<string> = (value) => typeof value === 'string';
