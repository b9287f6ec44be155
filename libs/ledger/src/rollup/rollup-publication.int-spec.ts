import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import { openRollupBench, type RollupBench } from './fixtures/rollup-bench.fixture.js';
import { defineLedger } from '../define-ledger.js';

/** A separate database, because the publication includes all its tables. */
const database = `published_${randomUUID().slice(0, 8)}`;
const url = new URL(inject('databaseUrl'));
url.pathname = `/${database}`;
let admin: pg.Client;
let bench: RollupBench;

beforeEach(async () => {
  admin = new pg.Client({ connectionString: inject('databaseUrl') });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${database}`);
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  await client.query('CREATE PUBLICATION everything FOR ALL TABLES');
  await client.end();
});
afterEach(async () => {
  await bench?.close();
  await admin.query(`DROP DATABASE ${database} WITH (FORCE)`);
  await admin.end();
});

it('rollups are made, refreshed and emptied if all tables are published', async () => {
  bench = await openRollupBench(url.href, defineLedger({ schema: 'metering', rollup: true }));
  const entries = async (): Promise<number> => (await bench.reader.summary({ userId: 1 })).entries;
  await bench.client.query(
    `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     SELECT gen_random_uuid(), 1, 1, 1, 'consume', '2026-01-05Z'::timestamptz + n * interval '1 hour'
     FROM generate_series(1, 500) n`,
  );
  await bench.refreshAll();
  expect(await bench.closedBefore()).not.toBeNull();
  await bench.change(`DELETE FROM ${bench.table} WHERE created_at < '2026-01-06Z'`);
  await bench.refreshAll();
  expect(await entries()).toBe(477);
  await bench.change(`TRUNCATE ${bench.table}`);
  expect([await entries(), await bench.closedBefore()]).toEqual([0, null]);
});
