import { describe, expect, inject, it } from 'vitest';
import { openRollupBench, ownSchema } from '../../../../test/support/rollup-bench.js';
import { defineLedger } from '../define-ledger.js';

/** Words of SQL, and names that statements of a fold give to tables. */
const NAMES = ['user', 'order', 'group', 'e', 'r', 'k', 'x', 'm', 'line', 'made', 'part', 'fresh'];

describe('a dimension of any name that a definition takes', () => {
  it.each([0, 4, 8])(
    'is folded, changed and asked for: from the one with number %i',
    async (from) => {
      const names = NAMES.slice(from, from + 4);
      const usage = defineLedger({
        schema: ownSchema(),
        columns: Object.fromEntries(names.map((name) => [name, 'text' as const])),
        rollup: { dimensions: names },
      });
      const bench = await openRollupBench(inject('databaseUrl'), usage);
      const { client, table, reader, names: tables } = bench;
      const list = names.map((name) => `"${name}"`);
      const add = (ago: string) =>
        client.query(
          `INSERT INTO ${table} (uuid, user_id, prompt_tokens, completion_tokens, direction,
           created_at, written_at, ${list.join(', ')})
         SELECT gen_random_uuid(), 1, n, 0, 'consume', at, at, ${list.map(() => `'v' || n % 2`).join(', ')}
         FROM (SELECT n, now() - $1::interval - n * interval '10 milliseconds' AS at
           FROM generate_series(1, 300) n) made`,
          [ago],
        );
      try {
        await add('1 hour');
        await bench.settle();
        const closed = `date_trunc('milliseconds', now()) - interval '5 minutes'`;
        await client.query(`UPDATE ${tables.sqlState} SET closed_before = ${closed}`);
        await add('20 seconds');
        await bench.settle();
        await client.query(`UPDATE ${table} SET prompt_tokens = 1`);
        await bench.settle();
        for (const name of names) {
          const { entries, consumedTokens } = await reader.summary({ userId: 1, [name]: 'v1' });
          expect([entries, consumedTokens], name).toEqual([300, 300]);
        }
        expect(bench.notices).toEqual([]);
      } finally {
        await bench.close();
      }
    },
  );
});

it('columns that are no dimensions may have the names that rollups use themselves', async () => {
  const names = ['at', 'entries', 'consumed', 'supplied', 'vFrom', 'vWritten', 'pUserId'];
  const usage = defineLedger({
    schema: ownSchema(),
    columns: Object.fromEntries(names.map((name) => [name, 'integer' as const])),
    rollup: {},
  });
  const { client, table, reader, ...bench } = await openRollupBench(inject('databaseUrl'), usage);
  try {
    await client.query(
      `INSERT INTO ${table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at,
         at, entries, consumed, supplied, v_from, v_written, p_user_id)
       SELECT gen_random_uuid(), 1, 1, 0, 'consume', '2026-01-05Z'::timestamptz + n * interval '1 minute',
         7, 7, 7, 7, 7, 7, 7 FROM generate_series(1, 300) n`,
    );
    await bench.settle();
    expect(await bench.closedBefore()).not.toBeNull();
    await client.query(
      `UPDATE ${table} SET prompt_tokens = 2 WHERE created_at < '2026-01-05T02:00Z'`,
    );
    await client.query(`DELETE FROM ${table} WHERE created_at < '2026-01-05T01:00Z'`);
    for (const settle of [async () => {}, () => bench.settle()]) {
      await settle();
      const from = new Date('2026-01-05T00:30:30Z');
      expect(await reader.summary({ userId: 1, from })).toMatchObject({
        entries: 241,
        consumedTokens: 301,
      });
    }
    expect(bench.notices).toEqual([]);
  } finally {
    await bench.close();
  }
});
