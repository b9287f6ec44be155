import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { openRollupBench, ownSchema, type RollupBench } from './fixtures/rollup-bench.fixture.js';
import { defineLedger } from '../define-ledger.js';

const usage = defineLedger({ schema: ownSchema(), rollup: true });
const CHANGES = 50;

let bench: RollupBench;
beforeEach(async () => {
  bench = await openRollupBench(inject('databaseUrl'), usage);
});
afterEach(() => bench.close());

/** Entries of one day and ten users, in one statement. */
async function add(count: number, writtenAgo: string): Promise<void> {
  await bench.client.query(
    `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction,
       created_at, written_at)
     SELECT gen_random_uuid(), 1 + n % 10, n, 0, 'consume',
       now() - interval '2 days' + n * interval '1 second', now() - $2::interval
     FROM generate_series(1, $1::integer) n`,
    [count, writtenAgo],
  );
}

async function expectExact(): Promise<void> {
  const { rows } = await bench.client.query<{ user_id: string; entries: string; sum: string }>(
    `SELECT user_id, count(*) AS entries, sum(prompt_tokens) FROM ${bench.table} GROUP BY 1`,
  );
  expect(rows).toHaveLength(10);
  for (const { user_id: userId, entries, sum } of rows) {
    const wanted = { entries: Number(entries), consumedTokens: Number(sum) };
    expect(await bench.reader.summary({ userId })).toMatchObject(wanted);
  }
}

/** Invalidations that no refresh has processed yet. */
const marks = async (): Promise<number> => {
  const { rows } = await bench.client.query<{ n: string }>(
    `SELECT count(*) AS n FROM ${bench.names.sqlMarks}`,
  );
  return Number(rows[0]!.n);
};

describe('late entries of one transaction', () => {
  it('are processed in portions, and counted at any time', async () => {
    await add(200, '1 hour');
    await bench.refreshAll();
    await add(1000, '0 seconds');
    const refresher = bench.refresher({ sizes: { changes: CHANGES } });
    const noted = async (): Promise<number> => {
      await refresher.refresh();
      await expectExact();
      return marks();
    };
    await expect.poll(noted, { timeout: 10_000 }).toBe(1000 - CHANGES);
    await add(100, '0 seconds');
    let left = await marks();
    for (let refreshes = 0; left > 0 && refreshes < 60; refreshes += 1) {
      await expectExact();
      await refresher.refresh();
      const now = await marks();
      expect(left - now).toBeLessThanOrEqual(CHANGES);
      left = now;
    }
    expect(left).toBe(0);
    await bench.refreshAll();
    await expectExact();
  });
});
