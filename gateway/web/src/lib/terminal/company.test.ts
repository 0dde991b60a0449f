import { expect, it } from 'vitest';

import { decodeLease, decodePresence, drawClientId, isClientId } from './company';

const ANA = {
  client: 'cli-a',
  name: 'Ana',
  device: 'Chrome on Android',
  role: 'editor',
  activity: 'typing',
  me: false,
  leads: true,
};

it('reads who is there, and passes over what it does not understand', () => {
  expect(decodePresence({ clients: [ANA, null, { ...ANA, name: 1 }] })).toEqual([ANA]);
  expect(decodePresence({ clients: [{ ...ANA, more: 1, activity: 'dancing' }] })).toEqual([
    { ...ANA, activity: 'dancing' },
  ]);
  expect(decodePresence({})).toBeNull();
});

it('reads whose size it is', () => {
  expect(decodeLease({ columns: 80, rows: 24, mine: true })).toEqual({ columns: 80, rows: 24, mine: true });
  expect(decodeLease({ columns: 80, rows: 24 })).toBeNull();
});

it('draws ids in the shape that the gateway takes', () => {
  const drawn = drawClientId();
  expect(isClientId(drawn)).toBe(true);
  expect(drawClientId()).not.toBe(drawn);
  expect(isClientId('cli-<script>')).toBe(false);
});
