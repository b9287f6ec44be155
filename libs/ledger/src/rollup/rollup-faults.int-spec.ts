import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  openRollupBench,
  ownSchema,
  refreshFully,
  holdRefreshes,
  refreshNow,
  type RollupBench,
} from './fixtures/rollup-bench.fixture.js';
import { expectRefused } from './fixtures/rollup-history.fixture.js';
import { definitionOptions } from '../cli/fixtures/definition-options.fixture.js';
import { rollup } from '../cli/rollup.command.js';
import { defineLedger } from '../define-ledger.js';
import { verifyTable } from '../migrations/fixtures/wired-migrations.fixture.js';

const usage = defineLedger({ schema: ownSchema(), rollup: true });
let bench: RollupBench;

beforeAll(async () => {
  bench = await openRollupBench(inject('databaseUrl'), usage);
});
beforeEach(() => bench.change(`TRUNCATE ${bench.table}`));
afterAll(() => bench.close());

async function insert(client: pg.Client, count: number, createdAt = '2026-01-05'): Promise<void> {
  await client.query(
    `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     SELECT gen_random_uuid(), 1, 1, 1, 'consume', $1::timestamptz + n * interval '1 minute'
     FROM generate_series(1, $2::int) n`,
    [createdAt, count],
  );
}

async function entries(): Promise<number> {
  return (await bench.reader.summary({ userId: 1 })).entries;
}

async function rollups(): Promise<number> {
  const { rows } = await bench.client.query(`SELECT FROM ${bench.names.sqlRollups}`);
  return rows.length;
}

describe('a refresh that is killed half-way', () => {
  it.each(['before it ends', 'by its process'])('leaves no trace: %s', async (how) => {
    await insert(bench.client, 100);
    const refresher = bench.refresher();
    await refresher.refresh();
    const blocker = await bench.connect();
    await holdRefreshes(blocker, bench.names.sqlState, 77);
    const running = refreshNow(refresher).then(
      () => 'ended',
      () => 'failed',
    );
    const stuck = `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 77`;
    await expect
      .poll(async () => (await bench.client.query(stuck)).rowCount, { timeout: 20_000 })
      .toBe(1);
    expect(await entries()).toBe(100);
    if (how === 'before it ends') {
      await bench.client.query(`SELECT pg_cancel_backend(pid) FROM (${stuck}) AS s`);
    } else {
      await bench.client.query(`SELECT pg_terminate_backend(pid) FROM (${stuck}) AS s`);
    }
    expect(await running).toBe('failed');
    await blocker.query(`DROP TRIGGER wait ON ${bench.names.sqlState}`);
    await blocker.query('SELECT pg_advisory_unlock(77)');
    expect([await rollups(), await bench.closedBefore(), await entries()]).toEqual([0, null, 100]);
    await bench.refreshAll();
    expect([(await rollups()) > 0, await entries()]).toEqual([true, 100]);
  });

  it('waits for a transaction that began before, and never counts its rows twice', async () => {
    await insert(bench.client, 10);
    const slow = await bench.connect();
    await slow.query('BEGIN');
    const refresher = bench.refresher();
    expect((await refresher.refresh()).outcome).toBe('waiting');
    expect((await refresher.refresh()).outcome).toBe('waiting');
    await insert(slow, 5);
    await slow.query('COMMIT');
    await bench.refreshAll();
    expect([(await rollups()) > 0, await entries()]).toEqual([true, 15]);
  });

  it('lets one instance refresh at a time', async () => {
    await insert(bench.client, 10);
    const refreshers = [bench.refresher(), bench.refresher(), bench.refresher()];
    for (const each of refreshers) await each.refresh();
    await Promise.all(refreshers.map((each) => each.refresh()));
    expect(await entries()).toBe(10);
  });
});

describe('a role that may only write', () => {
  const role = `writer_${randomUUID().slice(0, 8)}`;
  let writer: pg.Client;

  beforeAll(async () => {
    const { schema } = usage;
    await bench.client.query(`CREATE ROLE "${role}" LOGIN`);
    await bench.client.query(`GRANT USAGE ON SCHEMA "${schema}" TO "${role}"`);
    await bench.client.query(`GRANT INSERT, SELECT, DELETE, UPDATE ON ${bench.table} TO "${role}"`);
    writer = await bench.connect();
    await writer.query(`SET SESSION AUTHORIZATION "${role}"`);
  });

  afterAll(async () => {
    await writer.query('RESET SESSION AUTHORIZATION');
    await bench.client.query(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
  });

  it('is refused a change, and may make it while the rollups are paused', async () => {
    await insert(bench.client, 20);
    await bench.refreshAll();
    const statement = `DELETE FROM ${bench.table} WHERE created_at < '2026-01-05 00:05:30+00'`;
    await expectRefused(writer, statement);
    await bench.refresher().pause();
    await writer.query(statement);
    expect(await entries()).toBe(15);
    await bench.refresher().empty();
    await bench.refreshAll();
    expect(await entries()).toBe(15);
  });

  it('still reads if the rollups are missing, and reports it once', async () => {
    await insert(bench.client, 3);
    await bench.refreshAll();
    await bench.client.query(`ALTER TABLE ${bench.names.sqlState} RENAME TO away`);
    expect([await entries(), await entries()]).toEqual([3, 3]);
    expect(bench.notices).toHaveLength(1);
    expect(bench.notices[0]).toContain('nestjs-ledger migrate');
    await bench.client.query(
      `ALTER TABLE "${usage.schema}".away RENAME TO usage_entries_rollup_state`,
    );
  });
});

describe('nestjs-ledger rollup', () => {
  it('makes rollups again, even after a manual write with a past time', async () => {
    await insert(bench.client, 10);
    await bench.refreshAll();
    await bench.client.query(
      `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction,
         created_at, written_at)
       VALUES (gen_random_uuid(), 1, 1, 1, 'consume', '2026-01-05', '2026-01-05')`,
    );
    const [, module] = definitionOptions(usage);
    const options = { databaseUrl: inject('databaseUrl'), definition: module };
    const { result } = await rollup({ ...options, rebuild: true });
    expect(result).toMatch(/^refreshed in \d+ steps$/);
    const { reader } = bench;
    expect((await reader.summary({})).entries).toBe(11);
  });
});

describe('a refresh', () => {
  it('starts again after a rebuild, in the process that refreshed before', async () => {
    await insert(bench.client, 10);
    const refresher = bench.refresher();
    await refreshFully(refresher);
    await bench.change(`TRUNCATE ${bench.table}`);
    expect(await bench.closedBefore()).toBeNull();
    await insert(bench.client, 20);
    await refreshFully(refresher);
    expect(await bench.closedBefore()).not.toBeNull();
    expect([(await rollups()) > 0, await entries()]).toEqual([true, 20]);
  });

  it('adds nothing before it knows until when entries are complete', async () => {
    await insert(bench.client, 5);
    expect(await bench.refresher().refresh()).toEqual({ outcome: 'waiting', isBehind: false });
    expect(await bench.closedBefore()).toBeNull();
  });

  it('reports whether enough was written for the next one to be due soon', async () => {
    const busy = async (count: number): Promise<boolean[]> => {
      await bench.change(`TRUNCATE ${bench.table}`);
      await insert(bench.client, count);
      const refresher = bench.refresher();
      const found: boolean[] = [];
      await expect
        .poll(
          async () => {
            const { outcome, isBusy } = await refresher.refresh();
            if (outcome === 'refreshed') found.push(isBusy === true);
            return found.length;
          },
          { timeout: 20_000 },
        )
        .toBeGreaterThan(0);
      return found;
    };
    expect(await busy(9_999)).toEqual([false]);
    expect(await busy(10_000)).toEqual([true]);
  });
});

describe('an idle ledger', () => {
  it('is refreshed without a temporary table, and continues when entries arrive', async () => {
    await insert(bench.client, 3);
    await bench.refreshAll();
    const refresher = bench.refresher();
    await expect
      .poll(async () => (await refresher.refresh()).outcome, { timeout: 20_000 })
      .toBe('idle');
    const before = await bench.closedBefore();
    await expect
      .poll(async () => (await refresher.refresh(), await bench.closedBefore())! > before!, {
        timeout: 20_000,
      })
      .toBe(true);
    await insert(bench.client, 4, '2026-02-05');
    expect(await entries()).toBe(7);
    await bench.refreshAll();
    expect(await entries()).toBe(7);
  });
});

describe('the faults that verifyTable finds in rollups', () => {
  const verify = (): Promise<unknown> =>
    verifyTable(async (sql, values) => (await bench.client.query(sql, values)).rows, usage);

  it('are none after the migrations', async () => {
    expect(await verify()).toEqual([]);
  });

  it('include a missing index; nothing is refreshed until the command has made it', async () => {
    await insert(bench.client, 3);
    await bench.client.query(`DROP INDEX ${bench.names.sqlLate}`);
    expect(await verify()).toMatchObject([
      { kind: 'warning', remedy: expect.stringContaining('nestjs-ledger rollup') as string },
    ]);
    expect((await bench.refresher().refresh()).outcome).toBe('no-indexes');
    expect(await entries()).toBe(3);
    const [, module] = definitionOptions(usage);
    const options = { databaseUrl: inject('databaseUrl'), definition: module };
    expect((await rollup(options)).result).toMatch(/^refreshed/);
    expect(await verify()).toEqual([]);
    await bench.refreshAll();
    expect([(await rollups()) > 0, await entries()]).toEqual([true, 3]);
  });

  it('include a missing table and a missing dimension', async () => {
    const { sqlMarks } = bench.names;
    await bench.client.query(`ALTER TABLE ${sqlMarks} RENAME TO away`);
    expect(await verify()).toMatchObject([
      { kind: 'warning', subject: 'usage_entries_rollup_marks' },
    ]);
    await bench.client.query(
      `ALTER TABLE "${usage.schema}".away RENAME TO usage_entries_rollup_marks`,
    );
    const other = { ...usage, columns: {}, rollup: ['model'] };
    const query = async (sql: string, values: unknown[]): Promise<unknown> =>
      (await bench.client.query(sql, values)).rows;
    expect(await verifyTable(query, other)).toContainEqual(
      expect.objectContaining({
        kind: 'warning',
        problem: expect.stringContaining('have no dimension model') as string,
      }),
    );
  });
});
