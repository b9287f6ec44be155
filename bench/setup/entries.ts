import { defineLedger, type LedgerDefinition } from '../../libs/ledger/src/define-ledger.js';
import { RowCodec } from '../../libs/ledger/src/codec/row-codec.js';
import { createRowTarget } from '../../libs/ledger/src/codec/row-target.js';

/**
 * `small`: about 130 bytes encoded. `large`: about 300, with attributes and four columns. The
 * others are like `small`: in a table for reads, and without rollups in a plain table, in months,
 * and with fewer indexes.
 */
export type EntryKind =
  | 'small'
  | 'large'
  | 'partitioned'
  | 'partitioned_empty'
  | 'read'
  | 'without_rollups'
  | 'by_user'
  | 'unindexed';
/** The kinds measured by most parts. */
export const ENTRY_KINDS: readonly EntryKind[] = ['small', 'large'];
/** A table for each. */
export const TABLE_KINDS: readonly EntryKind[] = [
  ...ENTRY_KINDS,
  'partitioned',
  'partitioned_empty',
  'read',
  'without_rollups',
  'by_user',
  'unindexed',
];

/** An entry as passed to `record()`. */
export type BenchEntry = Record<string, unknown> & { readonly userId: number };

const small = defineLedger({ name: 'small', schema: 'bench_small', rollup: true });
const large = defineLedger({
  name: 'large',
  schema: 'bench_large',
  columns: { model: 'text', region: 'text', tenantId: 'uuid', costNanos: 'bigint' },
  rollup: true,
});

const partitioned = defineLedger({
  name: 'partitioned',
  schema: 'bench_partitioned',
  partition: 'month',
  indexes: ['userId', 'apiKeyId'],
});

const partitionedEmpty = defineLedger({
  name: 'partitioned-empty',
  schema: 'bench_partitioned_empty',
  partition: 'month',
  indexes: ['userId', 'apiKeyId'],
});

const read = defineLedger({ name: 'read', schema: 'bench_read', rollup: true });

// The same indexes as in a table with rollups, so that they are not part of the rollups' cost.
const withoutRollups = defineLedger({
  name: 'without-rollups',
  schema: 'bench_without_rollups',
  indexes: ['userId', 'apiKeyId'],
});

const byUser = defineLedger({
  name: 'by-user',
  schema: 'bench_by_user',
  indexes: ['userId'],
});

const unindexed = defineLedger({ name: 'unindexed', schema: 'bench_unindexed', indexes: [] });

/** The real table, with all its indexes, in a separate schema. */
export function definitionOf(kind: EntryKind): LedgerDefinition {
  return {
    small,
    large,
    partitioned,
    partitioned_empty: partitionedEmpty,
    read,
    without_rollups: withoutRollups,
    by_user: byUser,
    unindexed,
  }[kind];
}

/** Qualified and quoted for SQL. */
export function tableOf(kind: EntryKind): string {
  return `"bench_${kind}"."usage_entries"`;
}

/** The entry with this number: 1,000 users, 5,000 keys, all different. */
export function makeEntry(kind: EntryKind, i: number): BenchEntry {
  return kind === 'large' ? makeLarge(i) : makeSmall(i);
}

function makeSmall(i: number): BenchEntry {
  return {
    userId: 1 + (i % 1000),
    apiKeyId: 1 + (i % 5000),
    serviceId: 7,
    promptTokens: i & 4095,
    completionTokens: i & 1023,
    memo: 'chat completion, eu-1',
  };
}

/** One literal: an object that is spread and then grows costs more to make than to record. */
function makeLarge(i: number): BenchEntry {
  return {
    userId: 1 + (i % 1000),
    apiKeyId: 1 + (i % 5000),
    serviceId: 7,
    promptTokens: i & 4095,
    completionTokens: i & 1023,
    memo: 'chat completion, eu-1',
    attributes: { request: `req_${1_000_000 + i}`, stream: true, finish: 'stop', ms: i & 511 },
    model: 'gpt-4o-mini',
    region: 'eu-central-1',
    tenantId: '018f3a1e-7c4b-7d2a-9b1c-2f3e4d5c6b7a',
    costNanos: 123_456_789 + i,
  };
}

/** The first bytes of a binary COPY, and its last. */
export const COPY_HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
export const COPY_TRAILER = Buffer.from([0xff, 0xff]);

const MAX_ROW_BYTES = 1024;

/** Encodes entries like the ledger. @returns one buffer of rows for each batch */
export function encodeBatches(kind: EntryKind, rows: number, batchSize: number): Buffer[] {
  const codec = new RowCodec(definitionOf(kind));
  const id = { run: Math.floor(Math.random() * 2 ** 32), sequence: 0 };
  const target = createRowTarget(batchSize * MAX_ROW_BYTES);
  const batches: Buffer[] = [];
  for (let i = 0; i < rows;) {
    let end = 0;
    for (let k = 0; k < batchSize && i < rows; k++, i++) {
      const fault = codec.parser.parse(makeEntry(kind, i), Date.now());
      if (fault !== undefined) throw new Error(`${fault.field} ${fault.rule}`);
      end = codec.encode(target, end, id);
      id.sequence++;
    }
    batches.push(Buffer.from(target.bytes.subarray(0, end)));
  }
  return batches;
}
