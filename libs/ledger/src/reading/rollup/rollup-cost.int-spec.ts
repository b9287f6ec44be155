import { afterEach, describe, expect, inject, it } from 'vitest';
import {
  openRollupBench,
  ownSchema,
  type RollupBench,
} from '../../../../../test/support/rollup-bench.js';
import { defineLedger, type LedgerDefinition } from '../../define-ledger.js';

const HOUR_MS = 3_600_000;
/** A table each: the spans of an emptied one stay in its index for a while. */
const [short, long] = [1, 2].map(() => defineLedger({ schema: ownSchema() }));

describe('a summary of everybody', () => {
  const benches: RollupBench[] = [];
  afterEach(async () => {
    for (const bench of benches.splice(0)) await bench.close();
  });

  /** A ledger with entries of one user, 10 s apart, that end an hour ago. */
  const fill = async (usage: LedgerDefinition, entries: number): Promise<RollupBench> => {
    const bench = await openRollupBench(inject('databaseUrl'), usage);
    benches.push(bench);
    await bench.client.query(
      `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction,
         created_at, written_at)
       SELECT gen_random_uuid(), 1, 1, 0, 'consume', at, at
       FROM (SELECT now() - interval '1 hour' - n * interval '10 seconds' AS at
         FROM generate_series(1, ${entries}) n) made`,
    );
    await bench.settle();
    return bench;
  };

  /** Spans that the server looked at for one summary. */
  const spansRead = async (bench: RollupBench, from: Date, to: Date): Promise<number> => {
    const { client, names, table } = bench;
    await client.query('BEGIN');
    await client.query(`SELECT * FROM ${names.sqlSummary}($1::regclass, $2, $3)`, [
      table,
      from.toISOString(),
      to.toISOString(),
    ]);
    const { rows } = await client.query<{ count: string }>(
      `SELECT seq_tup_read + idx_tup_fetch AS count FROM pg_stat_xact_user_tables
       WHERE relid = $1::regclass`,
      [names.sqlRollups],
    );
    await client.query('ROLLBACK');
    return Number(rows[0]!.count);
  };

  it('looks at no more spans where the ledger is five times as long', async () => {
    const to = new Date(Date.now() - 2 * HOUR_MS);
    const from = new Date(to.getTime() - 20 * HOUR_MS);
    const few = await spansRead(await fill(short!, 10_000), from, to);
    const many = await spansRead(await fill(long!, 50_000), from, to);
    expect(few).toBeGreaterThan(20);
    // Where the period begins and ends among the spans of a level is chance.
    expect(many).toBeLessThan(few + 62);
  });
});
