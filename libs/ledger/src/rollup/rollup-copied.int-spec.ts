import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { openRollupBench, ownSchema, type RollupBench } from './fixtures/rollup-bench.fixture.js';
import { defineLedger } from '../define-ledger.js';

let bench: RollupBench;

beforeAll(async () => {
  bench = await openRollupBench(
    inject('databaseUrl'),
    defineLedger({ schema: ownSchema(), rollup: true }),
  );
});
afterAll(() => bench.close());

it('buckets copied without their state are made again, and count nothing twice', async () => {
  const entries = async (): Promise<number[]> => [
    (await bench.reader.summary({})).entries,
    (await bench.reader.summary({ userId: 1 })).entries,
  ];
  await bench.client.query(
    `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     SELECT gen_random_uuid(), 1 + n % 2, 1, 1, 'consume', '2026-01-05Z'::timestamptz + n * interval '1 minute'
     FROM generate_series(1, 1000) n`,
  );
  await bench.refreshAll();
  // The migrations had made the row of the state, so the copied row was refused.
  await bench.client.query(
    `UPDATE ${bench.names.sqlState} SET closed_before = DEFAULT, written_until = DEFAULT`,
  );
  expect(await entries()).toEqual([1000, 500]);
  await bench.refreshAll();
  expect(await bench.closedBefore()).not.toBeNull();
  expect(await entries()).toEqual([1000, 500]);
});
