import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { openRollupBench, ownSchema, type RollupBench } from './fixtures/rollup-bench.fixture.js';
import { definitionOptions } from '../cli/fixtures/definition-options.fixture.js';
import { rollup } from '../cli/rollup.command.js';
import { defineLedger } from '../define-ledger.js';
import { runMigrations } from '../migrations/fixtures/wired-migrations.fixture.js';

/** Each row fills a page, so that few rows make a large table. */
const ROWS = 34_000;
const LARGE_BYTES = 256 * 1024 * 1024;
const url = inject('databaseUrl');
const usage = defineLedger({ schema: ownSchema(), rollup: true });
let bench: RollupBench;

beforeAll(async () => {
  await runMigrations({ type: 'postgres', url }, { ...usage, rollup: false });
  const client = new pg.Client(url);
  await client.connect();
  const table = `"${usage.schema}".usage_entries`;
  // PLAIN keeps texts uncompressed and inline; UNLOGGED writes them once.
  await client.query(`ALTER TABLE ${table} ALTER COLUMN memo SET STORAGE PLAIN`);
  await client.query(`ALTER TABLE ${table} SET UNLOGGED`);
  await client.query(
    `INSERT INTO ${table} (uuid, user_id, prompt_tokens, completion_tokens, direction, memo,
       created_at, written_at)
     SELECT gen_random_uuid(), 1 + n % 10, 1, 1, 'consume', repeat('x', 7900), at, at
     FROM (SELECT n, '2026-01-05'::timestamptz + n * interval '1 second' AS at
       FROM generate_series(1, ${ROWS}) n) made`,
  );
  const size = `SELECT pg_table_size($1::regclass) AS bytes`;
  const { rows } = await client.query<{ bytes: string }>(size, [table]);
  expect(Number(rows[0]!.bytes)).toBeGreaterThan(LARGE_BYTES);
  await client.end();
}, 120_000);

afterAll(() => bench.close());

async function indexes(): Promise<number> {
  const { rows } = await bench.client.query(
    `SELECT FROM pg_index WHERE indisvalid AND indexrelid IN (to_regclass($1), to_regclass($2))`,
    [bench.names.sqlBrin, bench.names.sqlLate],
  );
  return rows.length;
}

describe('rollups of a table above 256 MiB', { timeout: 120_000 }, () => {
  it('come without indexes of entries, and reads are exact', async () => {
    bench = await openRollupBench(url, usage);
    expect(await indexes()).toBe(0);
    expect((await bench.refresher().refresh()).outcome).toBe('no-indexes');
    expect((await bench.reader.summary({ userId: 1 })).entries).toBe(ROWS / 10);
  });

  it('begin once the command has made the indexes', async () => {
    const [, module] = definitionOptions(usage);
    const options = { databaseUrl: url, definition: module };
    expect((await rollup(options)).result).toMatch(/^refreshed/);
    expect(await indexes()).toBe(2);
    expect(await bench.closedBefore()).not.toBeNull();
    expect((await bench.reader.summary({ userId: 1 })).entries).toBe(ROWS / 10);
    expect((await bench.reader.summary({})).entries).toBe(ROWS);
  });
});
