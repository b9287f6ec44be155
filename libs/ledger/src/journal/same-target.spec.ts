import { describe, expect, it } from 'vitest';
import { isSameTarget } from './same-target.js';

const OWN = { database: 'app', schema: 'public', table: 'usage', id: 'one', address: 'a' };

describe('a target', () => {
  it.each([
    ['itself', OWN],
    ['itself at another address', { ...OWN, address: 'b' }],
    ['itself, before its names were known', { table: 'usage', id: 'one' }],
    ['its address, before its id was known', { table: 'usage', address: 'a' }],
    [
      'its address by the name that a pooler has for it',
      { table: 'usage', database: 'pool', address: 'a' },
    ],
  ])('is %s', (_, found) => {
    expect(isSameTarget(found, OWN)).toBe(true);
  });

  it.each([
    ['a table of another id at its address', { ...OWN, id: 'two' }],
    ['another table', { ...OWN, table: 'other' }],
    ['a copy of its database', { ...OWN, database: 'copy' }],
    ['a copy in another schema', { ...OWN, schema: 'copy' }],
    ['one of an unknown id at another address', { table: 'usage', address: 'b' }],
    ['one of an unknown address', { table: 'usage' }],
  ])('is not %s', (_, found) => {
    expect(isSameTarget(found, OWN)).toBe(false);
  });

  it('with an id does not match a ledger whose id is unknown', () => {
    expect(isSameTarget(OWN, { table: 'usage', address: 'a' })).toBe(false);
  });
});
