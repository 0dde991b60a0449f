// What the gateway says of ways to sign in.
import { describe, expect, it } from 'vitest';

import { decodeIssuer } from './account';
import { DecodeError } from './decode';

describe('the issuer', () => {
  it('is there or not', () => {
    const issuer = { name: 'Example', url: '/sign-in/issuer' };
    expect(decodeIssuer({ issuer: { ...issuer, kind: 'new' } })).toEqual(issuer);
    expect(decodeIssuer({ issuer: null })).toBeNull();
    expect(decodeIssuer({}), 'an older gateway').toBeNull();
  });

  it('is not half there', () => {
    expect(() => decodeIssuer({ issuer: { name: 'Example' } })).toThrow(DecodeError);
    expect(() => decodeIssuer(null)).toThrow(DecodeError);
  });
});
