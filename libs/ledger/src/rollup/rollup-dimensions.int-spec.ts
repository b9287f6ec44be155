import { describe, expect, inject, it } from 'vitest';
import { openRollupBench, ownSchema } from './fixtures/rollup-bench.fixture.js';
import { defineLedger } from '../define-ledger.js';

/** SQL keywords, and table aliases in the statements of a refresh. */
const NAMES = ['user', 'order', 'group', 'e', 'r', 'k', 'x', 'm', 'below', 'made', 'part', 'fresh'];

describe('a dimension of any name that a definition accepts', () => {
  it.each([0, 4, 8])(
    'is taken in early and late, and asked for: from the one with number %i',
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
      const add = (ago: string, written = 'at') =>
        client.query(
          `INSERT INTO ${table} (uuid, user_id, prompt_tokens, completion_tokens, direction,
           created_at, written_at, ${list.join(', ')})
         SELECT gen_random_uuid(), 1, n, 0, 'consume', at, ${written}, ${list.map(() => `'v' || n % 2`).join(', ')}
         FROM (SELECT n, now() - $1::interval - n * interval '10 milliseconds' AS at
           FROM generate_series(1, 300) n) made`,
          [ago],
        );
      try {
        await add('1 hour');
        await bench.refreshAll();
        const closed = `date_trunc('milliseconds', now()) - interval '5 minutes'`;
        await client.query(`UPDATE ${tables.sqlState} SET closed_before = ${closed}`);
        await add('20 seconds');
        await bench.refreshAll();
        await add('2 hours', 'now()');
        await bench.refreshAll();
        for (const name of names) {
          const { entries, consumedTokens } = await reader.summary({ userId: 1, [name]: 'v1' });
          expect([entries, consumedTokens], name).toEqual([450, 3 * 150 * 150]);
        }
        expect(bench.notices).toEqual([]);
      } finally {
        await bench.close();
      }
    },
  );
});

it('columns other than dimensions may have names that rollups use themselves', async () => {
  const names = ['at', 'entries', 'consumed', 'supplied', 'vFrom', 'vWritten', 'pUserId'];
  const usage = defineLedger({
    schema: ownSchema(),
    columns: Object.fromEntries(names.map((name) => [name, 'integer' as const])),
    rollup: true,
  });
  const { client, table, reader, ...bench } = await openRollupBench(inject('databaseUrl'), usage);
  try {
    const insert = (count: number): Promise<unknown> =>
      client.query(
        `INSERT INTO ${table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at,
           at, entries, consumed, supplied, v_from, v_written, p_user_id)
         SELECT gen_random_uuid(), 1, 1, 0, 'consume', '2026-01-05Z'::timestamptz + n * interval '1 minute',
           7, 7, 7, 7, 7, 7, 7 FROM generate_series(1, ${count}) n`,
      );
    await insert(300);
    await bench.refreshAll();
    expect(await bench.closedBefore()).not.toBeNull();
    await insert(300);
    for (const refresh of [async () => {}, () => bench.refreshAll()]) {
      await refresh();
      const from = new Date('2026-01-05T00:30:30Z');
      expect(await reader.summary({ userId: 1, from })).toMatchObject({
        entries: 2 * 270,
        consumedTokens: 2 * 270,
      });
    }
    expect(bench.notices).toEqual([]);
  } finally {
    await bench.close();
  }
});
