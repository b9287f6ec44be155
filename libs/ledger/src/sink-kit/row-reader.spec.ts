import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ColumnType, IdType, LedgerTable } from '../entry/ledger-definition.js';
import type { UsageEntry } from '../entry/usage-entry.interface.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { createRowEncoder } from './row-encoder.js';
import { createRowReader } from './row-reader.js';
import { rowBatch } from './sink-trial.js';

const COLUMNS = {
  note: 'text',
  costNanos: 'bigint',
  retries: 'integer',
  price: 'numeric',
  isCached: 'boolean',
  tenantId: 'uuid',
  startedAt: 'timestamptz',
  labels: 'jsonb',
} as const satisfies Record<string, ColumnType>;

function tableOf<Ids extends IdType>(ids: Ids) {
  const table = { name: 'usage', schema: undefined, table: 'usage_entries', ids, columns: COLUMNS };
  return table satisfies LedgerTable<Ids>;
}

/** Text that PostgreSQL stores unchanged. */
const TEXT = fc
  .string({ unit: 'grapheme', maxLength: 60 })
  .map((text) => text.replaceAll('\0', ''));
const INTEGER = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const BIGINT = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const TIME = { min: new Date('2000-01-01'), max: new Date('2026-01-01'), noInvalidDate: true };
const nullable = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });

/** Any entry of a table, with all that is optional given or null. */
function entryOf<Ids extends IdType>(id: fc.Arbitrary<string>) {
  return fc.record({
    uuid: fc.uuid(),
    userId: id,
    apiKeyId: nullable(id),
    serviceId: nullable(id),
    promptTokens: fc.nat({ max: 2 ** 31 - 1 }),
    completionTokens: fc.nat({ max: 2 ** 31 - 1 }),
    direction: fc.constantFrom('consume', 'supply'),
    memo: nullable(TEXT),
    attributes: nullable(
      fc.dictionary(TEXT, fc.oneof(TEXT, fc.integer(), fc.boolean()), { noNullPrototype: true }),
    ),
    corrects: nullable(fc.uuid()),
    createdAt: fc.date(TIME),
    note: nullable(TEXT),
    costNanos: nullable(BIGINT),
    retries: nullable(INTEGER),
    price: nullable(fc.tuple(BIGINT, fc.nat(999_999)).map(([whole, part]) => `${whole}.${part}`)),
    isCached: nullable(fc.boolean()),
    tenantId: nullable(fc.uuid()),
    startedAt: nullable(fc.date(TIME)),
    labels: nullable(fc.array(TEXT, { maxLength: 3 })),
  }) as fc.Arbitrary<UsageEntry<LedgerTable<Ids, typeof COLUMNS>> & { createdAt: Date }>;
}

const IDS = {
  bigint: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map(String),
  uuid: fc.uuid(),
  text: TEXT.filter((text) => text !== '' && text.isWellFormed() && text.length < 80),
};

describe.each(['bigint', 'uuid', 'text'] as const)('a row reader, ids of type %s', (ids) => {
  const table = tableOf(ids);
  const encode = createRowEncoder<LedgerTable>(table);
  const reader = createRowReader<LedgerTable>(table);

  it('gives back every entry as it was recorded, and the row of that entry is the same', () => {
    fc.assert(
      fc.property(entryOf(IDS[ids]), (entry) => {
        const row = encode(entry as UsageEntry<LedgerTable>);
        const read = reader.entry(row);
        const { createdAt, startedAt, ...fields } = entry as unknown as Record<string, unknown>;
        expect(read).toEqual({
          ...fields,
          createdAt: (createdAt as Date).toISOString(),
          startedAt: (startedAt as Date | null)?.toISOString() ?? null,
        });
        const again = JSON.parse(JSON.stringify(read)) as Record<string, string>;
        const times = {
          createdAt: new Date(again['createdAt']!),
          startedAt: again['startedAt'] ? new Date(again['startedAt']) : null,
        };
        expect(encode({ ...again, ...times } as never).equals(row)).toBe(true);
        expect(reader.uuid(row)).toBe(entry.uuid);
      }),
      { numRuns: 200 },
    );
  });

  it('gives the bytes of each column, from which the row can be put together', () => {
    fc.assert(
      fc.property(entryOf(IDS[ids]), (entry) => {
        const row = encode(entry as UsageEntry<LedgerTable>);
        const fields = reader.fields(row);
        expect(fields).toHaveLength(reader.columns.length);
        const parts = fields.map((field) => {
          const length = Buffer.alloc(4);
          length.writeInt32BE(field?.length ?? -1);
          return Buffer.concat([length, field ?? Buffer.alloc(0)]);
        });
        expect(Buffer.concat([row.subarray(0, 2), ...parts]).equals(row)).toBe(true);
        const memo = fields[reader.columns.findIndex(({ field }) => field === 'memo')];
        expect(memo?.toString() ?? null).toBe(entry.memo);
      }),
      { numRuns: 100 },
    );
  });
});

describe('a row reader', () => {
  const table = tableOf('bigint');
  const reader = createRowReader(table);
  const encode = createRowEncoder(table);

  it('names the columns of the row in their order, with their types', () => {
    expect(reader.columns.slice(0, 3)).toEqual([
      { field: 'uuid', column: 'uuid', type: 'uuid', isNullable: false },
      { field: 'userId', column: 'user_id', type: 'bigint', isNullable: false },
      { field: 'apiKeyId', column: 'api_key_id', type: 'bigint', isNullable: true },
    ]);
    const declared = reader.columns.slice(-Object.keys(COLUMNS).length);
    expect(Object.fromEntries(declared.map(({ field, type }) => [field, type]))).toEqual(COLUMNS);
    expect(declared[1]).toMatchObject({ column: 'cost_nanos' });
  });

  it('reads a batch in order, for any number of slices', () => {
    const rows = [1, 2, 3, 4, 5].map((userId) => encode({ userId }));
    for (const rowsPerSlice of [1, 2, 5]) {
      const users = [...reader.entries(rowBatch(rows, rowsPerSlice))].map(({ userId }) => userId);
      expect(users).toEqual(['1', '2', '3', '4', '5']);
    }
  });

  it('refuses a row of another definition in a way that keeps the entries', () => {
    const row = createRowEncoder({ ...table, columns: {} })({ userId: 1 });
    expect(() => reader.entry(row)).toThrow(
      expect.toSatisfy((error) => isLedgerError(error, 'SINK_HALT')),
    );
    expect(() => reader.fields(row)).toThrow('a row has 11 columns, and its definition has 19');
  });
});

describe('a row encoder', () => {
  it('gives each entry its own uuid, and refuses entries that record() would refuse', () => {
    const table = tableOf('bigint');
    const encode = createRowEncoder(table);
    const uuids = [1, 1, 1].map((userId) => createRowReader(table).uuid(encode({ userId })));
    expect(new Set(uuids).size).toBe(3);
    expect(() => encode({ userId: 0 })).toThrow(
      expect.toSatisfy((error) => isLedgerError(error, 'LEDGER_ENTRY_INVALID')),
    );
  });
});
