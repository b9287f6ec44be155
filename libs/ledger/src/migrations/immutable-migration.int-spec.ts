import { sessionOfClient } from '../postgres/fixtures/session-of-client.fixture.js';
import { describe, expect, inject, it } from 'vitest';
import { openRollupBench, ownSchema } from '../rollup/fixtures/rollup-bench.fixture.js';
import { newEntryUuid } from '../codec/uuid.js';
import { defineLedger } from '../define-ledger.js';
import { createPartitions } from '../partitions/create-partitions.js';
import { periodsBetween } from '../partitions/period.js';
import { rollupRetirement } from '../rollup/rollup-retirement.js';
import { detachPartitions } from '../partitions/retire-partitions.js';

describe('an immutable ledger', () => {
  it('refuses UPDATE, DELETE and TRUNCATE, and accepts entries', async () => {
    const fixed = defineLedger({ schema: ownSchema(), immutable: true });
    const other = await openRollupBench(inject('databaseUrl'), fixed);
    await other.client.query(
      `INSERT INTO ${other.table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
       VALUES (gen_random_uuid(), 1, 1, 1, 'consume', now())`,
    );
    for (const sql of [
      `UPDATE ${other.table} SET prompt_tokens = 2`,
      `DELETE FROM ${other.table}`,
      `TRUNCATE ${other.table}`,
    ]) {
      await expect(other.client.query(sql)).rejects.toMatchObject({ code: '23001' });
    }
    expect((await other.reader.summary({})).entries).toBe(1);
    await other.close();
  });

  it('refuses them on earlier and later partitions too, until they are retired', async () => {
    const schema = ownSchema();
    const fixed = defineLedger({ schema, immutable: true, partition: 'month' });
    const other = await openRollupBench(inject('databaseUrl'), fixed);
    const session = sessionOfClient(other.client);
    const may = Date.UTC(2026, 4, 1);
    await other.client.query(
      `INSERT INTO ${other.table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
       SELECT u, 1, 1, 1, 'consume', '2026-05-05' FROM unnest($1::uuid[]) u`,
      [Array.from({ length: 3 }, () => newEntryUuid(new Date('2026-05-05')))],
    );
    const { moved } = await createPartitions(
      session,
      other.table,
      periodsBetween('month', may, may + 1),
    );
    expect(moved).toBe(3);
    for (const name of ['usage_entries_default', 'usage_entries_p202605']) {
      for (const verb of ['UPDATE % SET prompt_tokens = 2', 'DELETE FROM %', 'TRUNCATE %']) {
        const sql = verb.replace('%', `"${schema}".${name}`);
        await expect(other.client.query(sql), sql).rejects.toMatchObject({ code: '23001' });
      }
    }
    await detachPartitions(session, other.table, Date.UTC(2026, 5, 1), {
      hooks: rollupRetirement,
    });
    await other.client.query(`TRUNCATE "${schema}".usage_entries_p202605`);
    await other.close();
  });
});
