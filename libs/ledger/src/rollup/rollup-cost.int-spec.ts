import { afterEach, describe, expect, inject, it, vi } from 'vitest';
import { openRollupBench, ownSchema, type RollupBench } from './fixtures/rollup-bench.fixture.js';
import { defineLedger, type LedgerDefinition } from '../define-ledger.js';
import { PgSession } from '../postgres/pg-session.js';

/** Watermarks are whole milliseconds. */
const FIVE_MINUTES_AGO = `date_trunc('milliseconds', now()) - interval '5 minutes'`;
const HOUR_MS = 3_600_000;
/** One table each, because the buckets of an emptied table stay in its index for a while. */
const [short, long, busy] = [1, 2, 3].map(() =>
  defineLedger({ schema: ownSchema(), rollup: true }),
);

const benches: RollupBench[] = [];
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.close();
});

/** Entries of one user, with this interval and this end. */
async function add(
  { client, table }: RollupBench,
  { entries, seconds, ago }: { entries: number; seconds: number; ago: string },
): Promise<void> {
  await client.query(
    `INSERT INTO ${table} (uuid, user_id, prompt_tokens, completion_tokens, direction,
       created_at, written_at)
     SELECT gen_random_uuid(), 1, 1, 0, 'consume', at, at
     FROM (SELECT now() - $1::interval - n * $2::float8 * interval '1 second' AS at
       FROM generate_series(1, $3::integer) n) made`,
    [ago, seconds, entries],
  );
}

/** A ledger with entries of one user, 10 s apart, that end an hour ago. */
async function fill(usage: LedgerDefinition, entries: number): Promise<RollupBench> {
  const bench = await openRollupBench(inject('databaseUrl'), usage);
  benches.push(bench);
  await add(bench, { entries, seconds: 10, ago: '1 hour' });
  await bench.refreshAll();
  return bench;
}

describe('a summary of all users', () => {
  /** Buckets that the server read for one summary. */
  const bucketsRead = async (bench: RollupBench, from: Date, to: Date): Promise<number> => {
    const { client, names, table } = bench;
    const summary = names.sqlRollups.replace(/s"$/, '_summary"');
    await client.query('BEGIN');
    await client.query(`SELECT * FROM ${summary}($1::regclass, $2, $3)`, [
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

  it('reads no more buckets if the ledger is five times as long', async () => {
    const to = new Date(Date.now() - 2 * HOUR_MS);
    const from = new Date(to.getTime() - 20 * HOUR_MS);
    const few = await bucketsRead(await fill(short!, 10_000), from, to);
    const many = await bucketsRead(await fill(long!, 50_000), from, to);
    expect(few).toBeGreaterThan(20);
    // The positions of the period's ends within the buckets of a level are random.
    expect(many).toBeLessThan(few + 62);
  });
});

describe('a refresh of the last minutes', () => {
  /** The server's plans for the statements of a refresh that contain the text. */
  const plansOf = async (text: string, work: () => Promise<void>): Promise<string[]> => {
    const plans: string[] = [];
    const rows = PgSession.prototype.texts;
    const spy = vi.spyOn(PgSession.prototype, 'texts');
    spy.mockImplementation(async function (this: PgSession, sql, values) {
      if (sql.includes(text)) {
        const lines = await rows.call(this, `EXPLAIN ${sql}`, values);
        plans.push(lines.join('\n'));
      }
      return rows.call(this, sql, values);
    });
    await work().finally(() => spy.mockRestore());
    return plans;
  };

  it('reads only these and does not sort them, even without statistics', async () => {
    const bench = await fill(busy!, 10_000);
    const { client, names } = bench;
    await client.query(`VACUUM ANALYZE ${bench.table}`);
    // As after a pause without entries.
    await client.query(`UPDATE ${names.sqlState} SET closed_before = ${FIVE_MINUTES_AGO}`);
    await add(bench, { entries: 20_000, seconds: 0.01, ago: '20 seconds' });
    const fresh = 'INSERT INTO pg_temp.ledger_rollup_fresh';
    const plans = await plansOf(fresh, () => bench.refreshAll());
    expect(plans.length).toBeGreaterThan(0);
    expect(plans[0]).toMatch(/HashAggregate[^]*Bitmap Heap Scan/);
    expect(plans[0]).not.toMatch(/Sort|Seq Scan/);
    expect((await bench.reader.summary({})).entries).toBe(30_000);
  });

  it('does not wait for a VACUUM, which would be cancelled', async () => {
    const bench = await fill(busy!, 10_000);
    const { client, names } = bench;
    await client.query(`UPDATE ${names.sqlState} SET closed_before = ${FIVE_MINUTES_AGO}`);
    await add(bench, { entries: 100, seconds: 1, ago: '20 seconds' });
    const vacuum = await bench.connect();
    await vacuum.query('SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1');
    const [{ pid }] = (await vacuum.query<{ pid: number }>('SELECT pg_backend_pid() AS pid'))
      .rows as [{ pid: number }];
    const vacuumed = vacuum.query(`VACUUM ${bench.table}`).catch((error: unknown) => error);
    const running = async (): Promise<unknown> =>
      (await client.query('SELECT FROM pg_stat_progress_vacuum WHERE pid = $1', [pid])).rowCount;
    await expect.poll(running, { timeout: 10_000 }).toBe(1);
    const refresher = bench.refresher({ timeoutMs: 20_000 });
    const outcome = async (): Promise<string> => (await refresher.refresh()).outcome;
    await expect.poll(outcome, { timeout: 10_000 }).toBe('refreshed');
    expect(await running()).toBe(1);
    await client.query('SELECT pg_terminate_backend($1)', [pid]);
    await vacuumed;
    expect((await bench.reader.summary({})).entries).toBe(10_100);
  });

  it('is followed sooner by the next one if it left entries', async () => {
    const bench = await fill(busy!, 100);
    const { client, names } = bench;
    await client.query(`UPDATE ${names.sqlState} SET closed_before = ${FIVE_MINUTES_AGO}`);
    await add(bench, { entries: 100, seconds: 1, ago: '20 seconds' });
    const restsLong = async (): Promise<boolean> => {
      const { rows } = await client.query<{ long: boolean }>(
        `SELECT rests_until > clock_timestamp() + interval '1 minute' AS long FROM ${names.sqlState}`,
      );
      return rows[0]!.long;
    };
    // A million times the duration of any refresh is more than a minute.
    const short = bench.refresher({ restFactor: 1_000_000, stepMs: 200_000 });
    expect(await short.refresh()).toMatchObject({ outcome: 'refreshed', isBehind: true });
    expect(await restsLong()).toBe(false);
    const refresh = async (): Promise<void> =>
      expect((await short.refresh()).outcome).toBe('refreshed');
    await vi.waitFor(refresh, { timeout: 30_000 });
    expect(await restsLong()).toBe(true);
    expect((await bench.reader.summary({})).entries).toBe(200);
  });

  it('detects new entries without reading all of them', async () => {
    const bench = await fill(busy!, 10_000);
    await bench.client.query(`VACUUM ANALYZE ${bench.table}`);
    const [plan] = await plansOf('SELECT (EXISTS', () => bench.refreshAll());
    expect(plan).toMatch(/Bitmap Heap Scan[^]*Bitmap Heap Scan/);
    expect(plan).not.toMatch(/Index Scan using|Index Only Scan|Seq Scan on usage_entries /);
  });
});
