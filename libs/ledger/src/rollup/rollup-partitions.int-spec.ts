import { sessionOfClient } from '../postgres/fixtures/session-of-client.fixture.js';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  openRollupBench,
  ownSchema,
  holdRefreshes,
  refreshNow,
  type RollupBench,
} from './fixtures/rollup-bench.fixture.js';
import { definitionOptions } from '../cli/fixtures/definition-options.fixture.js';
import { rollup } from '../cli/rollup.command.js';
import { defineLedger } from '../define-ledger.js';
import { createPartitions } from '../partitions/create-partitions.js';
import { periodsBetween } from '../partitions/period.js';
import { expectRefused } from './fixtures/rollup-history.fixture.js';
import { rollupRetirement as hooks } from './rollup-retirement.js';
import { detachPartitions, dropRetired } from '../partitions/retire-partitions.js';
import { verifyTable } from '../migrations/fixtures/wired-migrations.fixture.js';

const JANUARY = Date.UTC(2026, 0, 1);
const FEBRUARY = Date.UTC(2026, 1, 1);
const APRIL = Date.UTC(2026, 3, 1);
/** One entry each hour of 90 days, for two users alternately. */
const ENTRIES = 90 * 24;
const OF_JANUARY = 31 * 24;

let bench: RollupBench;
let schema: string;

beforeEach(async () => {
  schema = ownSchema();
  const usage = defineLedger({ schema, rollup: true, partition: 'month' });
  bench = await openRollupBench(inject('databaseUrl'), usage);
  await createPartitions(
    sessionOfClient(bench.client),
    bench.table,
    periodsBetween('month', JANUARY, APRIL),
  );
  await bench.client.query(
    `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008'
       || lpad(to_hex(n), 15, '0'))::uuid, 1 + n % 2, 1, 0, 'consume', at
     FROM (SELECT n, timestamptz '2026-01-01Z' + n * interval '1 hour' AS at
       FROM generate_series(0::bigint, ${ENTRIES - 1}) n) s`,
  );
});
afterEach(() => bench.close());

const partition = (label: string): string => `"${schema}".usage_entries_${label}`;
const entries = async (query: { userId?: number; from?: Date } = {}): Promise<number> =>
  (await bench.reader.summary(query)).entries;

async function oldBuckets(): Promise<number> {
  const { rows } = await bench.client.query<{ n: string }>(
    `SELECT count(*) AS n FROM ${bench.names.sqlRollups} WHERE hi < '2026-02-01Z'`,
  );
  return Number(rows[0]!.n);
}

/** Whether another connection waits for an advisory lock of this test. */
const isStuck = async (): Promise<boolean> =>
  (await bench.client.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
    .rowCount === 1;

describe('retiring a partition', () => {
  it('removes its entries from every summary, and its buckets', async () => {
    await bench.refreshAll();
    expect(await oldBuckets()).toBeGreaterThan(0);
    const retired = await detachPartitions(sessionOfClient(bench.client), bench.table, FEBRUARY, {
      hooks,
    });
    expect(retired).toHaveLength(1);
    const left = ENTRIES - OF_JANUARY;
    const sums = async (): Promise<number[]> => [
      await entries(),
      await entries({ userId: 1 }),
      await entries({ from: new Date(FEBRUARY - 1) }),
    ];
    expect(await sums()).toEqual([left, left / 2, left]);
    expect(await oldBuckets()).toBe(0);
    // The detached table is a plain one, and refuses nothing.
    await bench.client.query(`DELETE FROM ${partition('p202601')}`);
    await dropRetired(sessionOfClient(bench.client), retired![0]!);
    await bench.refreshAll();
    expect(await sums()).toEqual([left, left / 2, left]);
  });

  it('waits for a refresh, and every concurrent read sees the state before or after', async () => {
    const blocker = await bench.connect();
    await holdRefreshes(blocker, bench.names.sqlState, 78);
    const refresher = bench.refresher();
    await refresher.refresh();
    const refreshing = refreshNow(refresher);
    await expect.poll(isStuck, { timeout: 20_000 }).toBe(true);
    let isRetired = false;
    const other = await bench.connect();
    const retiring = detachPartitions(sessionOfClient(other), bench.table, FEBRUARY, {
      hooks,
    }).finally(() => {
      isRetired = true;
    });
    const found = new Set<number>();
    for (let reads = 0; reads < 5; reads++) found.add(await entries());
    expect([isRetired, ...found]).toEqual([false, ENTRIES]);
    await blocker.query(`SELECT pg_advisory_unlock(78)`);
    expect((await refreshing).outcome).toBe('refreshed');
    while (!isRetired) found.add(await entries());
    expect(await retiring).toHaveLength(1);
    found.add(await entries());
    expect([...found].sort((a, b) => b - a)).toEqual([ENTRIES, ENTRIES - OF_JANUARY]);
    await blocker.query(`DROP TRIGGER wait ON ${bench.names.sqlState}`);
    await bench.refreshAll();
    expect(await entries()).toBe(ENTRIES - OF_JANUARY);
  });

  it('changes nothing if it is rolled back', async () => {
    await bench.refreshAll();
    const { client } = bench;
    const session = sessionOfClient(client);
    const rows = session.rows.bind(session);
    session.rows = async (sql, values) => {
      if (sql.startsWith('COMMENT ON TABLE')) throw new Error('killed');
      return rows(sql, values);
    };
    await expect(detachPartitions(session, bench.table, FEBRUARY, { hooks })).rejects.toThrow(
      'killed',
    );
    expect([await entries(), await entries({ userId: 2 })]).toEqual([ENTRIES, ENTRIES / 2]);
  });
});

describe('rows of one partition', () => {
  it.each(['p202602', 'default', 'new'])('are refused a change: %s', async (label) => {
    if (label === 'new') {
      const periods = periodsBetween('month', APRIL, APRIL + 1);
      await createPartitions(sessionOfClient(bench.client), bench.table, periods);
    }
    const on = partition(label === 'new' ? 'p202604' : label);
    for (const statement of ['UPDATE % SET user_id = 3', 'DELETE FROM %', 'TRUNCATE %']) {
      await expectRefused(bench.client, statement.replace('%', on));
    }
  });

  it('are changed and deleted there while the rollups are paused', async () => {
    await bench.refreshAll();
    const changes = [
      `DELETE FROM ${partition('p202602')} WHERE user_id = 1`,
      `UPDATE ${partition('p202603')} SET user_id = 3 WHERE user_id = 2`,
    ];
    const { client } = bench;
    await bench.refresher().pause();
    for (const each of changes) await client.query(each);
    const users = async (): Promise<number[]> =>
      Promise.all([1, 2, 3].map((userId) => entries({ userId })));
    const expected = [ENTRIES / 2 - 336, ENTRIES / 2 - 372, 372];
    expect(await users()).toEqual(expected);
    await client.query(`TRUNCATE ${partition('p202603')}`);
    expect(await entries()).toBe(ENTRIES - 336 - 744);
    await bench.refresher().empty();
    await bench.refreshAll();
    expect(await entries()).toBe(ENTRIES - 336 - 744);
    for (const each of changes) await expectRefused(client, each);
  });

  it('move out of the default partition without a difference', async () => {
    await bench.change(
      `UPDATE ${bench.table} SET uuid = ('01a' || substr(uuid::text, 4))::uuid
       WHERE created_at < '2026-01-02Z'`,
    );
    await bench.refreshAll();
    const { rows } = await bench.client.query<{ ms: string }>(
      `SELECT ('x' || substr(replace(uuid::text, '-', ''), 1, 12))::bit(48)::bigint::text AS ms
       FROM ${partition('default')} LIMIT 1`,
    );
    const at = Number(rows[0]!.ms);
    const { moved } = await createPartitions(
      sessionOfClient(bench.client),
      bench.table,
      periodsBetween('month', at, at + 1),
    );
    expect(moved).toBeGreaterThan(0);
    expect([await entries(), await entries({ userId: 1 })]).toEqual([ENTRIES, ENTRIES / 2]);
    await bench.change(`DELETE FROM ${partition('default')}`);
    expect(await entries()).toBe(ENTRIES - 24 + moved);
  });
});

describe('nestjs-ledger rollup', () => {
  it('makes the missing indexes of every partition', async () => {
    const { client, names, table } = bench;
    await client.query(`DROP INDEX ${names.sqlLate}, ${names.sqlBrin}`);
    expect((await bench.refresher().refresh()).outcome).toBe('no-indexes');
    const usage = defineLedger({ schema, rollup: true, partition: 'month' });
    const [, module] = definitionOptions(usage);
    const options = { databaseUrl: inject('databaseUrl'), definition: module };
    expect((await rollup(options)).result).toMatch(/^refreshed/);
    expect(
      await verifyTable((sql, values) => client.query(sql, values).then(({ rows }) => rows), usage),
    ).toEqual([]);
    await bench.refreshAll();
    expect([(await oldBuckets()) > 0, await entries()]).toEqual([true, ENTRIES]);
    // A partition made afterwards has them too.
    await createPartitions(
      sessionOfClient(client),
      table,
      periodsBetween('month', APRIL, APRIL + 1),
    );
    const { rows } = await client.query<{ whole: boolean }>(
      `SELECT bool_and(indisvalid) AS whole FROM pg_index
       WHERE indexrelid IN ('${names.sqlLate}'::regclass, '${names.sqlBrin}'::regclass)`,
    );
    expect(rows).toEqual([{ whole: true }]);
  });
});
