import { PgConnections } from '../postgres/pg-connections.js';
import type { WriteStrategy } from '../ports/ledger-settings.interface.js';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  EVERY_COLUMN,
  HostileEntries,
  seededRandom,
} from '../channel/fixtures/hostile-entries.fixture.js';
import { createRowTarget } from '../codec/row-target.js';
import { RowCodec } from '../codec/row-codec.js';
import { rowColumnsOf } from '../entry/columns.js';
import { rowBatch } from '../sink-kit/sink-trial.js';
import { createLedgerDatabase, type LedgerDatabase } from './fixtures/ledger-database.fixture.js';
import { rowTypes } from './column-arrays.js';
import { PostgresSink } from './postgres.sink.js';

/** Sample size; the smaller part uses the other strategy. */
const ROWS = { copy: 20_000, insert: 4000 } as const;
const BATCH_ROWS = 1000;
const ATTEMPT = { timeoutMs: 20_000, isAwaited: false, mayExist: false };

let database: LedgerDatabase;
beforeAll(async () => {
  database = await createLedgerDatabase(inject('databaseUrl'), { columns: EVERY_COLUMN });
});
afterAll(() => database.drop());

interface Encoded {
  readonly row: Buffer;
  readonly entry: Record<string, unknown>;
}

/** Rows of hostile entries that passed validation. */
function encodeMany(count: number, seed: number): Encoded[] {
  const hostile = new HostileEntries(database.table, seededRandom(seed));
  const codec = new RowCodec(database.table);
  const rows: Encoded[] = [];
  for (let sequence = 0; rows.length < count; sequence++) {
    if (codec.parser.parse(hostile.next(), Date.now()) !== undefined) continue;
    // Hostile entries share few uuids; here each must have its own.
    if (!codec.parser.needsSequence) continue;
    const target = createRowTarget(codec.maxRowBytes);
    const row = target.bytes.subarray(0, codec.encode(target, 0, { run: seed, sequence }));
    rows.push({ row, entry: codec.decode(row) });
  }
  return rows;
}

/** Each column as printed by PostgreSQL, by entry field. */
async function readAll(): Promise<Map<string, Record<string, unknown>>> {
  const columns = rowColumnsOf(database.table).map(({ field, column }): [string, string] => [
    field,
    column,
  ]);
  const types = rowTypes(database.table);
  const list = columns.map(([field, name], i) => {
    const text = `"${name}"::text`;
    const ms = `(extract(epoch FROM "${name}") * 1000)::bigint::text`;
    return `${types[i] === 'timestamptz' ? ms : text} AS "${field}"`;
  });
  const rows = await database.sql<Record<string, string | null>>(`SELECT ${list.join()} FROM $T`);
  return new Map(
    rows.map((row) => {
      const entries = columns.map(([field], i) => [field, valueOf(types[i]!, row[field]!)]);
      return [row['uuid']!, Object.fromEntries(entries) as Record<string, unknown>];
    }),
  );
}

function valueOf(type: string, text: string | null): unknown {
  if (text === null) return null;
  if (type === 'integer') return Number(text);
  if (type === 'boolean') return text === 'true';
  if (type === 'jsonb') return JSON.parse(text) as unknown;
  return type === 'timestamptz' ? new Date(Number(text)).toISOString() : text;
}

describe.each(['copy', 'insert'] as const)(
  'rows of hostile entries by %s',
  (strategy: WriteStrategy) => {
    it(`are all taken by the server, which reads ${ROWS[strategy]} of them as they were meant`, async () => {
      const seed = Number(
        process.env['LEDGER_FUZZ_SEED'] ?? 1 + Math.floor(Math.random() * 2 ** 30),
      );
      await database.sql('TRUNCATE $T');
      const encoded = encodeMany(ROWS[strategy], seed);
      const dataSource = database.dataSource();
      const sink = new PostgresSink({
        connections: new PgConnections({ dataSource: () => dataSource, ownsDataSource: true }),
        closesConnections: true,
        table: database.table,
        strategy,
        prepare: async () => {},
        onNotice: () => {},
      });
      for (let at = 0; at < encoded.length; at += BATCH_ROWS) {
        const batch = rowBatch(encoded.slice(at, at + BATCH_ROWS).map(({ row }) => row));
        await sink.write(batch, ATTEMPT);
      }
      await sink.close();
      const stored = await readAll();
      expect(stored.size, `LEDGER_FUZZ_SEED=${seed}`).toBe(encoded.length);
      for (const { entry } of encoded) {
        expect(stored.get(entry['uuid'] as string), `LEDGER_FUZZ_SEED=${seed}`).toEqual(entry);
      }
    }, 60_000);
  },
);
