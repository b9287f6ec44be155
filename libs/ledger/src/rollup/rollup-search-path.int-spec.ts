import { randomUUID } from 'node:crypto';
import { expect, inject, it } from 'vitest';
import { openRollupBench } from './fixtures/rollup-bench.fixture.js';
import { defineLedger } from '../define-ledger.js';

it('rollups of a ledger without a schema are found by the search path', async () => {
  const usage = defineLedger({ rollup: true, table: `rollup_${randomUUID().slice(0, 8)}` });
  const bench = await openRollupBench(inject('databaseUrl'), usage);
  try {
    await bench.client.query(
      `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
       SELECT gen_random_uuid(), 1, 1, 1, 'consume', '2026-01-05Z'::timestamptz + n * interval '1 hour'
       FROM generate_series(1, 500) n`,
    );
    await bench.refreshAll();
    expect((await bench.reader.summary({ userId: 1 })).entries).toBe(500);
    expect(bench.notices).toEqual([]);
    // Entries in buckets are not read again.
    await bench.client.query(`ALTER TABLE ${bench.table} DISABLE TRIGGER USER`);
    await bench.client.query(`DELETE FROM ${bench.table} WHERE created_at < '2026-01-06Z'`);
    expect((await bench.reader.summary({ userId: 1 })).entries).toBe(500);
  } finally {
    await bench.close();
  }
});
