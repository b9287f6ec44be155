import { sessionOfClient } from '../postgres/fixtures/session-of-client.fixture.js';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import {
  openRollupBench,
  ownSchema,
  refreshNow,
  type RollupBench,
} from './fixtures/rollup-bench.fixture.js';
import { defineLedger } from '../define-ledger.js';
import { createPartitions } from '../partitions/create-partitions.js';
import { periodsBetween } from '../partitions/period.js';
import { PgSession } from '../postgres/pg-session.js';
import type { RollupRefresher } from './rollup-refresher.js';

const JANUARY = Date.UTC(2026, 0, 1);
const APRIL = Date.UTC(2026, 3, 1);
const LOCK_NOT_AVAILABLE = '55P03';

let bench: RollupBench;
let schema: string;
let refresher: RollupRefresher;
/** Lock holders; they end before the schema is dropped. */
const others: pg.Client[] = [];

/** Entries of three months that no index covers yet; transactions that start now are known. */
beforeEach(async () => {
  schema = ownSchema();
  const usage = defineLedger({ schema, rollup: true, partition: 'month' });
  bench = await openRollupBench(inject('databaseUrl'), usage);
  const { client, table } = bench;
  await createPartitions(sessionOfClient(client), table, periodsBetween('month', JANUARY, APRIL));
  // Few entries then have many ranges of pages, which no autovacuum summarizes.
  for (const name of await brinIndexes()) {
    await client.query(`ALTER INDEX ${name} SET (pages_per_range = 1, autosummarize = off)`);
    await client.query(`REINDEX INDEX ${name}`);
  }
  await client.query(
    `INSERT INTO ${table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008'
       || lpad(to_hex(n), 15, '0'))::uuid, 1, 1, 0, 'consume', at
     FROM (SELECT n, timestamptz '2026-01-01Z' + n * interval '1 hour' AS at
       FROM generate_series(0::bigint, 90 * 24 - 1) n) s`,
  );
  refresher = bench.refresher();
  await refresher.refresh();
});
afterEach(async () => {
  for (const other of others.splice(0)) await other.end();
  await bench.close();
});

const partition = (month: string): string => `"${schema}".usage_entries_p2026${month}`;

async function brinIndexes(): Promise<string[]> {
  const { rows } = await bench.client.query<{ name: string }>(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::regclass`,
    [bench.names.sqlBrin],
  );
  return rows.map(({ name }) => name);
}

/** Ranges of pages that the index of this month had not summarized before, but has now. */
async function unknownTo(month: string): Promise<number> {
  const name = (await brinIndexes()).find((index) => index.includes(`_p2026${month}_`));
  const { rows } = await bench.client.query<{ ranges: number }>(
    'SELECT brin_summarize_new_values($1::regclass) AS ranges',
    [name],
  );
  return rows[0]!.ranges;
}

/** Refreshes. @returns the SQLSTATEs of refused statements */
async function refresh(change: (sql: string) => string = (sql) => sql): Promise<unknown[]> {
  const refused: unknown[] = [];
  const rows = PgSession.prototype.texts;
  const spy = vi.spyOn(PgSession.prototype, 'texts');
  spy.mockImplementation(function (this: PgSession, sql, values) {
    return rows.call(this, change(sql), values).catch((error: unknown) => {
      refused.push((error as { code?: unknown }).code);
      throw error;
    });
  });
  try {
    expect((await refreshNow(refresher)).outcome).toBe('refreshed');
  } finally {
    spy.mockRestore();
  }
  return refused;
}

async function lock(month: string, mode: string): Promise<pg.Client> {
  const other = await bench.connect();
  others.push(other);
  await other.query('BEGIN');
  await other.query(`LOCK TABLE ${partition(month)} IN ${mode} MODE`);
  return other;
}

describe('indexes of partitions before a refresh', () => {
  it('summarize all new pages', async () => {
    expect(await refresh()).toEqual([]);
    for (const month of ['01', '02', '03'])
      expect([month, await unknownTo(month)]).toEqual([month, 0]);
  });

  it.each([
    ['a VACUUM', 'SHARE UPDATE EXCLUSIVE'],
    ['CREATE INDEX', 'SHARE'],
  ])(
    'learn of them though one is locked as by %s, without an error in the log',
    async (_, mode) => {
      const other = await lock('02', mode);
      expect(await refresh()).toEqual([]);
      expect([await unknownTo('01'), await unknownTo('03')]).toEqual([0, 0]);
      await other.query('ROLLBACK');
      expect(await unknownTo('02')).toBeGreaterThan(0);
    },
  );

  it('summarize them although for one they would wait behind another waiter', async () => {
    const writer = await lock('02', 'ROW EXCLUSIVE');
    const waiting = lock('02', 'SHARE');
    const isWaiting = async (): Promise<boolean> =>
      (await bench.client.query('SELECT FROM pg_locks WHERE NOT granted')).rowCount === 1;
    await expect.poll(isWaiting).toBe(true);
    expect(await refresh()).toEqual([]);
    expect([await unknownTo('01'), await unknownTo('03')]).toEqual([0, 0]);
    await writer.query('ROLLBACK');
    await waiting;
  });

  it('summarize them from the newest on until one is locked', async () => {
    await lock('02', 'SHARE UPDATE EXCLUSIVE');
    // As if it were locked just after the check.
    const none = 'FROM (SELECT * FROM pg_catalog.pg_locks LIMIT 0) none';
    const blind = (sql: string): string =>
      sql.includes('brin_summarize') ? sql.replace('FROM pg_catalog.pg_locks', none) : sql;
    expect(await refresh(blind)).toEqual([LOCK_NOT_AVAILABLE]);
    expect(await unknownTo('03')).toBe(0);
    expect(await unknownTo('01')).toBeGreaterThan(0);
  });

  it('are left to their owner, without an error in the log', async () => {
    let summarize = '';
    await refresh((sql) => {
      if (sql.includes('brin_summarize')) summarize = sql;
      return sql;
    });
    const { client } = bench;
    const role = `writer_${schema.slice(-12)}`;
    await client.query(`CREATE ROLE ${role}`);
    await client.query(`GRANT USAGE ON SCHEMA "${schema}" TO ${role}`);
    await client.query(`SET ROLE ${role}`);
    const asked = await client.query(summarize).finally(() => client.query('RESET ROLE'));
    expect(asked.rows).toEqual([{ sum: null }]);
    await client.query(`DROP OWNED BY ${role}`);
    await client.query(`DROP ROLE ${role}`);
  });
});
