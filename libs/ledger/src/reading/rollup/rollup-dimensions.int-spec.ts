import { describe, expect, inject, it } from 'vitest';
import { openRollupBench, ownSchema } from '../../../../../test/support/rollup-bench.js';
import { defineLedger } from '../../define-ledger.js';

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
