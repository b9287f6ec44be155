import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  openRollupBench,
  ownSchema,
  type RollupBench,
} from '../../../../test/support/rollup-bench.js';
import { defineLedger } from '../define-ledger.js';

const usage = defineLedger({ schema: ownSchema() });
const CHANGES = 50;

let bench: RollupBench;
beforeEach(async () => {
  bench = await openRollupBench(inject('databaseUrl'), usage);
});
afterEach(() => bench.close());

/** Entries of a day, of ten users, in one statement. */
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

const marks = async (): Promise<number> => {
  const { rows } = await bench.client.query<{ n: string }>(
    `SELECT count(*) AS n FROM ${bench.names.sqlMarks}`,
  );
  return Number(rows[0]!.n);
};

describe('late entries of one transaction', () => {
  it('are folded bit by bit, and counted all the while', async () => {
    await add(200, '1 hour');
    await bench.settle();
    await add(1000, '0 seconds');
    await bench.client.query(`UPDATE ${bench.table} SET user_id = 3 WHERE prompt_tokens = 900`);
    const pass = bench.pass({ sizes: { changes: CHANGES } });
    const setAside = async (): Promise<number> => {
      await pass.run();
      await expectExact();
      return marks();
    };
    await expect.poll(setAside, { timeout: 10_000 }).toBe(1000);
    await bench.client.query(`DELETE FROM ${bench.table} WHERE prompt_tokens BETWEEN 400 AND 409`);
    let left = await marks();
    for (let passes = 0; left > 0 && passes < 60; passes += 1) {
      await expectExact();
      await pass.run();
      const now = await marks();
      expect(left - now).toBeLessThanOrEqual(CHANGES);
      left = now;
    }
    expect(left).toBe(0);
    await expectExact();
  });
});
