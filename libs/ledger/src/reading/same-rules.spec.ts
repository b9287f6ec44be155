import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RowCodec } from '../codec/row-codec.js';
import { defineLedger } from '../define-ledger.js';
import type { IdType } from '../entry/ledger-definition.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { decodeCursor } from './page-cursor.js';
import { parseRecentQuery } from './parse-recent-query.js';
import { parseReportQuery } from './parse-report-query.js';
import { parseReverseOptions } from './parse-reverse-options.js';
import { parseSummaryQuery } from './parse-summary-query.js';

const columns = { tenant: 'text', seats: 'bigint', group: 'uuid', label: 'jsonb' } as const;
const period = { from: '2026-01-01', to: '2026-02-01' };

/** The field that a read refuses; undefined if it accepts the query. */
function refusedField(parse: () => unknown): string | undefined {
  try {
    parse();
    return undefined;
  } catch (error) {
    if (isLedgerError(error, 'LEDGER_READ') && error.reason === 'invalid') return error.field;
    throw error;
  }
}

const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\0', '\ud800', '\udfff', '😀', 'é', 'a', ' ', '1'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }),
  ),
  maxLength: 20,
});
const id = fc.oneof(text, fc.integer(), fc.bigInt(), fc.uuid(), fc.anything());

describe.each<IdType>(['text', 'bigint', 'uuid'])('an id of type %s', (ids) => {
  const ledger = defineLedger({ ids, columns });
  const codec = new RowCodec(ledger);
  const isRecorded = (userId: unknown): boolean =>
    codec.parser.parse({ userId }, Date.now()) === undefined;

  it('is refused by every read exactly if it is refused by record()', () => {
    fc.assert(
      fc.property(id, (userId) => {
        const asked = [
          refusedField(() => parseSummaryQuery(ledger, { where: { userId } })),
          refusedField(() => parseRecentQuery(ledger, { where: { userId } })),
          refusedField(() => parseReportQuery(ledger, { ...period, where: { userId } })),
        ];
        if (userId !== undefined) {
          asked.push(refusedField(() => parseSummaryQuery(ledger, { userId })));
          asked.push(refusedField(() => parseReportQuery(ledger, { ...period, userId })));
          asked.push(refusedField(() => parseRecentQuery(ledger, { userId })));
        }
        const isRefused = asked.map((field) => field !== undefined);
        expect(new Set(isRefused)).toEqual(new Set([!isRecorded(userId)]));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the argument of a read', () => {
  const ledger = defineLedger({ ids: 'text', columns });

  it.each([
    ['a lone surrogate, which reads as U+FFFD', { userId: 'a\ud800' }, 'userId'],
    ['half a pair at the end', { apiKeyId: 'key\ud83d' }, 'apiKeyId'],
    ['U+0000', { serviceId: 'a\0' }, 'serviceId'],
    ['an empty id', { userId: '' }, 'userId'],
    ['an id of 257 bytes', { userId: 'é'.repeat(129) }, 'userId'],
    ['a column that would be mended on its way in', { where: { tenant: 'a\udc00' } }, 'tenant'],
    ['a column with U+0000', { where: { tenant: '\0' } }, 'tenant'],
    ['a text that no column can hold', { where: { tenant: 'x'.repeat(8193) } }, 'tenant'],
    ['JSON that would be mended', { where: { label: { a: '\ud800' } } }, 'label'],
    ['a bigint beyond its range', { where: { seats: 2n ** 63n } }, 'seats'],
    ['a uuid in braces', { where: { group: '{01890a5d-ac96-774b-bcce-b302099a8057}' } }, 'group'],
    ['another direction', { where: { direction: 'give' } }, 'direction'],
    ['a value that is missing', { where: { tenant: undefined } }, 'where.tenant'],
    ['no user', { where: { userId: null } }, 'userId'],
    ['a column that is none', { where: { tenantId: 'a' } }, '"tenantId"'],
    ['no object', { where: 'tenant = 1' }, 'where'],
    ['a field with two values', { userId: 'a', where: { userId: 'b' } }, 'userId'],
  ])('is refused: %s', (_, query, field) => {
    expect(refusedField(() => parseSummaryQuery(ledger, query))).toBe(field);
    const isOfSummary = 'apiKeyId' in query || 'serviceId' in query;
    if (isOfSummary) return;
    expect(refusedField(() => parseReportQuery(ledger, { ...period, ...query }))).toBe(field);
    expect(refusedField(() => parseRecentQuery(ledger, query))).toBe(field);
  });

  it('is refused for a reversal: a reason that would be corrected, cut or empty', () => {
    const refused = (options: object) => refusedField(() => parseReverseOptions(ledger, options));
    for (const reason of ['', 'a\0', 'a\ud800', 'é'.repeat(4097), 'x'.repeat(9000), 7, null]) {
      expect(refused({ reason })).toBe('reason');
    }
    expect(refused({ reason: 'x', keep: ['seat'] })).toBe('keep');
    expect(refused({ reason: 'x', bookedAt: 'later' })).toBe('bookedAt');
    expect(refused({ reason: 'x', at: 'now' })).toBe('"at"');
    expect(refused({ reason: 'é'.repeat(4096), keep: ['seats'], bookedAt: 'now' })).toBeUndefined();
  });

  // Reading all of it would take seconds.
  it('is checked quickly at any length', () => {
    const long = 'x'.repeat(500_000_000);
    const startedAt = performance.now();
    for (const parse of [
      () => decodeCursor(long),
      () => parseSummaryQuery(ledger, { userId: long }),
      () => parseReportQuery(ledger, { ...period, timeZone: `A/${long}` }),
      () => parseReverseOptions(ledger, { reason: long }),
    ]) {
      expect(refusedField(parse)).toBeDefined();
    }
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});
