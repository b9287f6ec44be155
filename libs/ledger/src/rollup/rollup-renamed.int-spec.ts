import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import { OwnSchema } from '../postgres/fixtures/own-schema.fixture.js';
import { openRollupBench, type RollupBench } from './fixtures/rollup-bench.fixture.js';
import { expectRefused } from './fixtures/rollup-history.fixture.js';
import { defineLedger } from '../define-ledger.js';

const definition = defineLedger({ rollup: true });

let schema: OwnSchema;
let benches: RollupBench[];
beforeEach(async () => {
  schema = await OwnSchema.create(inject('databaseUrl'));
  benches = [];
});
afterEach(async () => {
  for (const bench of benches) await bench.close();
  await schema.drop();
});

/** A ledger in this schema, with this many entries of one token in its buckets. */
async function ledgerOf(name: string, count: number): Promise<RollupBench> {
  const url = schema.url.replace(schema.name, name);
  const bench = await openRollupBench(url, definition);
  benches.push(bench);
  await bench.client.query(
    `INSERT INTO usage_entries (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     SELECT gen_random_uuid(), 1, 1, 0, 'consume', '2026-01-05Z'::timestamptz + n * interval '1 minute'
     FROM generate_series(1, ${count}) n`,
  );
  await bench.refreshAll();
  return bench;
}

const entriesOf = async ({ reader }: RollupBench): Promise<number[]> => [
  (await reader.summary({})).entries,
  (await reader.summary({ userId: 1 })).entries,
];

it('a table that formerly had the name may be changed, and sums exclude it', async () => {
  const { client } = await ledgerOf(schema.name, 1000);
  await client.query(`DO $$ DECLARE v_index text; BEGIN
    ALTER TABLE usage_entries RENAME TO archive;
    FOR v_index IN SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'archive'::regclass
    LOOP EXECUTE format('ALTER INDEX %s RENAME TO %I', v_index, 'old_' || v_index);
    END LOOP; END $$`);
  const bench = await ledgerOf(schema.name, 500);
  expect(await bench.closedBefore()).not.toBeNull();
  for (const change of ['DELETE FROM', 'UPDATE', 'TRUNCATE']) {
    const rest = { UPDATE: 'SET prompt_tokens = 7', 'DELETE FROM': 'WHERE true' }[change] ?? '';
    await client.query(`${change} archive ${rest}`);
    expect(await entriesOf(bench), change).toEqual([500, 500]);
    await bench.refreshAll();
    expect(await entriesOf(bench), change).toEqual([500, 500]);
    expect(await bench.closedBefore(), change).not.toBeNull();
  }
});

it('sums of a renamed schema and of a new one with its name are independent', async () => {
  const old = `${schema.name}_old`;
  await ledgerOf(schema.name, 1000);
  await schema.query(`ALTER SCHEMA ${schema.name} RENAME TO ${old}`);
  try {
    await schema.query(`CREATE SCHEMA ${schema.name}`);
    const bench = await ledgerOf(schema.name, 500);
    const renamed = await ledgerOf(old, 0);
    expect(await entriesOf(renamed)).toEqual([1000, 1000]);
    await expectRefused(renamed.client, 'DELETE FROM usage_entries');
    await renamed.change(`DELETE FROM usage_entries WHERE created_at < '2026-01-05T05:00Z'`);
    expect(await entriesOf(renamed)).toEqual([701, 701]);
    expect(await entriesOf(bench)).toEqual([500, 500]);
    await bench.refreshAll();
    expect(await entriesOf(bench)).toEqual([500, 500]);
  } finally {
    await schema.query(`DROP SCHEMA ${old} CASCADE`);
  }
});

it('rollups of a renamed schema are made again by the next migration', async () => {
  await ledgerOf(schema.name, 1000);
  const old = `${schema.name}_old`;
  await schema.query(`ALTER SCHEMA ${schema.name} RENAME TO ${old}`);
  try {
    await expectRefused(benches[0]!.client, `DELETE FROM ${old}.usage_entries`);
    const bench = await ledgerOf(old, 0);
    expect(await bench.closedBefore()).not.toBeNull();
    expect(await entriesOf(bench)).toEqual([1000, 1000]);
    expect(bench.notices).toEqual([]);
    await bench.change(`DELETE FROM usage_entries WHERE created_at < '2026-01-05T05:00Z'`);
    expect(await entriesOf(bench)).toEqual([701, 701]);
    await bench.refreshAll();
    expect(await entriesOf(bench)).toEqual([701, 701]);
  } finally {
    await schema.query(`ALTER SCHEMA ${old} RENAME TO ${schema.name}`);
  }
});
