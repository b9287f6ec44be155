import { describe, expect, inject, it } from 'vitest';
import {
  openRollupBench,
  ownSchema,
  type RollupBench,
} from '../../../../test/support/rollup-bench.js';
import { defineLedger } from '../define-ledger.js';
import { UsageReader } from '../reading/usage-reader.js';
import { runMigrations } from '../migrations/fixtures/wired-migrations.fixture.js';

async function insertOne({ client, table }: RollupBench): Promise<void> {
  await client.query(
    `INSERT INTO ${table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     VALUES (gen_random_uuid(), 1, 1, 1, 'consume', '2026-01-01Z')`,
  );
}

describe('migrations of rollups', { timeout: 60_000 }, () => {
  it('make rollups anew if the table was dropped and made again', async () => {
    const definition = defineLedger({ schema: ownSchema() });
    const other = await openRollupBench(inject('databaseUrl'), definition);
    await insertOne(other);
    await insertOne(other);
    await other.settle();
    await other.client.query(`DROP TABLE ${other.table}`);
    await runMigrations({ type: 'postgres', url: inject('databaseUrl') }, definition);
    await insertOne(other);
    expect((await other.reader.summary({})).entries).toBe(1);
    await other.close();
  });

  it('leave rollups alone that tell apart more, and every instance folds them', async () => {
    const schema = ownSchema();
    const options = { schema, columns: { model: 'text' } } as const;
    const more = defineLedger({ ...options, rollup: { dimensions: ['model'] } });
    const url = inject('databaseUrl');
    const other = await openRollupBench(url, more);
    const less = defineLedger(options);
    expect(await runMigrations({ type: 'postgres', url }, less)).toHaveLength(1);
    await other.client.query(
      `INSERT INTO ${other.table} (uuid, user_id, prompt_tokens, completion_tokens, direction,
         created_at, model)
       SELECT gen_random_uuid(), 1, 1, 0, 'consume', timestamptz '2026-01-01Z' + n * interval '1 hour',
         CASE n % 2 WHEN 0 THEN 'a' END FROM generate_series(1, 600) n`,
    );
    const pass = other.pass({ definition: less });
    await expect
      .poll(async () => ((await pass.run()).outcome, (await other.closedBefore()) !== null), {
        timeout: 20_000,
      })
      .toBe(true);
    await other.settle();
    const found = await Promise.all([
      other.reader.summary({ userId: 1 }),
      other.reader.summary({ userId: 1, model: 'a' }),
    ]);
    expect(found.map(({ entries: count }) => count)).toEqual([600, 300]);
    expect(other.notices).toEqual([]);
    await other.close();
  });

  it('make them anew if that table was dropped, also where they tell apart more', async () => {
    const schema = ownSchema();
    const options = { schema, columns: { model: 'text' } } as const;
    const url = inject('databaseUrl');
    const more = defineLedger({ ...options, rollup: { dimensions: ['model'] } });
    const other = await openRollupBench(url, more);
    await insertOne(other);
    await other.settle();
    await other.client.query(`DROP TABLE ${other.table}`);
    const less = defineLedger(options);
    await runMigrations({ type: 'postgres', url }, less);
    await insertOne(other);
    const reader = new UsageReader({ ...other, definition: less, asOf: () => new Date() });
    expect((await reader.summary({})).entries).toBe(1);
    await other.settle();
    await other.client.query(`DELETE FROM ${other.table}`);
    expect((await reader.summary({})).entries).toBe(0);
    await other.close();
  });
});
