import { describe, expect, it } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { checkFields, parseId, parseLimit, parseMoment } from './parse-read-query.js';
import { parseReportQuery } from './parse-report-query.js';

function faultOf(parse: () => unknown): { field: string; rule: string } | undefined {
  try {
    parse();
  } catch (error) {
    if (isLedgerError(error, 'LEDGER_READ') && error.reason === 'invalid') {
      return { field: error.field, rule: error.rule };
    }
    throw error;
  }
  return undefined;
}

describe('an id in a query', () => {
  it.each([
    [1, '1'],
    [2 ** 53 - 1, '9007199254740991'],
    [2n ** 63n - 1n, '9223372036854775807'],
    ['9223372036854775807', '9223372036854775807'],
    ['007', '7'],
  ])('of a bigint ledger may be %s', (value, text) => {
    expect(parseId('userId', value, 'bigint')).toBe(text);
  });

  it('of a bigint ledger may have no other type', () => {
    const values = [
      ...[0, -1, 1.5, NaN, Infinity, 2 ** 53, 0n, 2n ** 63n, -1n],
      ...['', ' 1', '1 ', '+1', '1e3', '0x1', '1.0', '0', '9223372036854775808', '1'.repeat(99)],
      ...[null, true, {}, [], ['1'], '1; DROP TABLE usage_entries'],
    ];
    for (const value of values) {
      expect(faultOf(() => parseId('userId', value, 'bigint'))).toMatchObject({ field: 'userId' });
    }
  });

  it('of a uuid ledger must be a UUID', () => {
    const uuid = '0190A1B2-0000-7000-8000-000000000001';
    expect(parseId('apiKeyId', uuid, 'uuid')).toBe(uuid.toLowerCase());
    for (const value of ['', `{${uuid}}`, uuid.replaceAll('-', ''), `${uuid}\n`, 7, null]) {
      expect(faultOf(() => parseId('apiKeyId', value, 'uuid'))).toMatchObject({
        field: 'apiKeyId',
      });
    }
  });

  it('of a text ledger has at most 256 bytes of any kind', () => {
    const text = `'; DROP "x" \\ \n 🎈`;
    expect(parseId('userId', text, 'text')).toBe(text);
    expect(parseId('userId', 'é'.repeat(128), 'text')).toHaveLength(128);
    for (const value of ['é'.repeat(129), 'a\0b', 7, null, ['a']]) {
      expect(faultOf(() => parseId('userId', value, 'text'))).toMatchObject({ field: 'userId' });
    }
  });

  it('never appears in the error', () => {
    const fault = faultOf(() => parseId('userId', 'secret-id', 'bigint'));
    expect(fault?.rule).toMatch(/^must be/);
    expect(JSON.stringify(fault)).not.toContain('secret');
  });
});

describe('the other arguments of a query', () => {
  it('are refused if they are unknown', () => {
    const fields = ['userId', 'from'];
    expect(faultOf(() => checkFields({ userID: 1 }, fields))).toMatchObject({ field: '"userID"' });
    expect(faultOf(() => checkFields(null, fields))).toMatchObject({ field: 'query' });
    expect(faultOf(() => checkFields([], fields))).toMatchObject({ field: 'query' });
    expect(checkFields({ userId: 1 }, fields)).toEqual({ userId: 1 });
  });

  it('have a limit from 1 to 1000, by default 50', () => {
    expect([undefined, 1, 1000].map(parseLimit)).toEqual([50, 1, 1000]);
    for (const value of [0, -1, 1001, 1.5, NaN, '10', null, 10n]) {
      expect(faultOf(() => parseLimit(value))).toMatchObject({ field: 'limit' });
    }
  });

  it('have times that JavaScript and PostgreSQL write alike', () => {
    class Spoken extends Date {
      override toISOString = (): string => "'; DROP TABLE usage_entries";
      override getTime = (): number => 5;
    }
    const given = new Spoken(0);
    const moment = parseMoment('from', given);
    given.setMonth(7);
    expect(moment.toISOString()).toBe('1970-01-01T00:00:00.000Z');
    const values = [new Date(NaN), new Date(8.64e15), new Date(-8.64e15), '2026-01-01', 0, null];
    for (const value of values) {
      expect(faultOf(() => parseMoment('from', value))).toMatchObject({ field: 'from' });
    }
  });
});

describe('a report', () => {
  it('has one meaning for each field of its rows', () => {
    const usage = defineLedger({ columns: { entries: 'integer', price: 'numeric' } });
    const report = { from: '2026-01-01', to: '2026-02-01', groupBy: ['price'], sum: ['price'] };
    const faultFor = (asked: object) =>
      faultOf(() => parseReportQuery(usage, { ...report, ...asked }));
    expect(faultFor({})).toMatchObject({ field: 'sum' });
    expect(faultFor({ groupBy: [], sum: ['entries'] })).toMatchObject({ field: 'sum' });
    expect(faultFor({ groupBy: ['entries'], sum: [] })).toMatchObject({ field: 'groupBy' });
    expect(faultFor({ groupBy: [] })).toBeUndefined();
  });
});
