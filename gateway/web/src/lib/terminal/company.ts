// Who else is at a session, and whose screen decides its size, as the gateway tells it.

export interface Present {
  client: string;
  name: string;
  /** What it runs on, such as `Chrome on Android`. */
  device: string;
  /** `editor` or `viewer`. */
  role: string;
  /** `typing`, `watching` or `away`; a newer gateway may know more words. */
  activity: string;
  me: boolean;
  /** The session has its size. */
  leads: boolean;
}

/** The session's size, and whether this page decides it. */
export interface Lease {
  columns: number;
  rows: number;
  mine: boolean;
}

type Fields = Record<string, unknown>;

export function decodeLease({ columns, rows, mine }: Fields): Lease | null {
  if (typeof columns !== 'number' || typeof rows !== 'number' || typeof mine !== 'boolean') return null;
  return { columns, rows, mine };
}

/** Everybody who is described well enough; the rest is a newer gateway's business. */
export function decodePresence({ clients }: Fields): Present[] | null {
  if (!Array.isArray(clients)) return null;
  return clients.map(decodePresent).filter((present) => present !== null);
}

function decodePresent(value: unknown): Present | null {
  if (typeof value !== 'object' || value === null) return null;
  const { client, name, device, role, activity, me, leads } = value as Fields;
  if (typeof client !== 'string' || typeof name !== 'string' || typeof device !== 'string') return null;
  if (typeof role !== 'string' || typeof activity !== 'string') return null;
  return { client, name, device, role, activity, me: me === true, leads: leads === true };
}

/** The tab's own id, in the shape that the gateway takes: 128 random bits and no meaning. */
export function drawClientId(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  const random = crypto.getRandomValues(new Uint8Array(26));
  return `cli-${[...random].map((byte) => alphabet[byte % 32]).join('')}`;
}

export function isClientId(value: unknown): value is string {
  return typeof value === 'string' && /^cli-[a-z2-7]{26}$/.test(value);
}
