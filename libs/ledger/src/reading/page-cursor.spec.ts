import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { decodeCursor, encodeCursor, millisOf, momentText } from './page-cursor.js';

const FIRST = -62_135_596_800_000_000n;
const LAST = 253_402_300_799_999_999n;
const moment = fc.bigInt({ min: FIRST, max: LAST });

function fieldOf(cursor: unknown): string | undefined {
  try {
    decodeCursor(cursor);
  } catch (error) {
    return isLedgerError(error, 'LEDGER_READ') && error.reason === 'invalid'
      ? error.field
      : 'another error';
  }
  return undefined;
}

describe('a cursor', () => {
  it('decodes to its original position', () => {
    fc.assert(
      fc.property(moment, fc.uuid(), (micros, uuid) => {
        expect(decodeCursor(encodeCursor({ micros, uuid }))).toEqual({ micros, uuid });
      }),
    );
  });

  it('is refused by name in all other cases', () => {
    const good = encodeCursor({ micros: 1n, uuid: '00000000-0000-7000-8000-000000000000' });
    const otherVersion = Buffer.from(good, 'base64url').fill(2, 0, 1).toString('base64url');
    const values = [
      ...['', 'garbage', `${good}=`, ` ${good}`, `${good}AA`, good.slice(1), otherVersion],
      ...[null, 7, {}, [good], Symbol('x')],
    ];
    expect(values.map(fieldOf)).toEqual(values.map(() => 'cursor'));
  });

  it('is refused for a time that no entry can have', () => {
    const uuid = '00000000-0000-7000-8000-000000000000';
    expect(fieldOf(encodeCursor({ micros: FIRST - 1n, uuid }))).toBe('cursor');
    expect(fieldOf(encodeCursor({ micros: LAST + 1n, uuid }))).toBe('cursor');
  });

  it('causes no other error for any text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (text) => {
        expect([undefined, 'cursor']).toContain(fieldOf(text));
      }),
    );
  });
});

describe('a moment', () => {
  it.each([
    [0n, '1970-01-01T00:00:00.000000Z'],
    [-1n, '1969-12-31T23:59:59.999999Z'],
    [-1000n, '1969-12-31T23:59:59.999000Z'],
    [1_767_225_600_123_456n, '2026-01-01T00:00:00.123456Z'],
    [FIRST, '0001-01-01T00:00:00.000000Z'],
    [LAST, '9999-12-31T23:59:59.999999Z'],
  ])('of %s microseconds is written with all its digits', (micros, text) => {
    expect(momentText(micros)).toBe(text);
  });

  it('is rounded down to milliseconds, also before 1970', () => {
    expect([-1001n, -1000n, -1n, 0n, 999n, 1000n].map(millisOf)).toEqual([
      -2n,
      -1n,
      -1n,
      0n,
      0n,
      1n,
    ]);
  });
});
