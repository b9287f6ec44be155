import pg from 'pg';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { openRollupBench, ownSchema, type RollupBench } from './fixtures/rollup-bench.fixture.js';
import { expectRefused } from './fixtures/rollup-history.fixture.js';
import { outputTo } from '../cli/fixtures/command-output.fixture.js';
import { definitionOptions } from '../cli/fixtures/definition-options.fixture.js';
import { runProgram } from '../cli/program.js';
import { defineLedger, type LedgerDefinition } from '../define-ledger.js';
import { runMigrations, verifyTable } from '../migrations/fixtures/wired-migrations.fixture.js';
import { ManualClock } from '../testing/manual-clock.js';
import { LedgerRollups } from './ledger-rollups.js';

const url = inject('databaseUrl');
const MINUTE_MS = 60_000;

let bench: RollupBench;
afterEach(() => bench.close());

const migrate = (definition: LedgerDefinition): Promise<string[]> =>
  runMigrations({ type: 'postgres', url }, definition);
const verify = (definition: LedgerDefinition): Promise<unknown> =>
  verifyTable(async (sql, values) => (await bench.client.query(sql, values)).rows, definition);
const entries = async (filter: object = {}): Promise<number> =>
  (await bench.reader.summary(filter)).entries;

async function insert(count: number, from = '2026-01-01Z'): Promise<void> {
  await bench.client.query(
    `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction,
       created_at, written_at)
     SELECT gen_random_uuid(), 1, 1, 0, 'consume', at, at
     FROM (SELECT $1::timestamptz + n * interval '1 hour' AS at
       FROM generate_series(1, $2::integer) n) AS made`,
    [from, count],
  );
}

/** Relations, functions and triggers with names of rollups. */
async function traces({ schema }: LedgerDefinition): Promise<string[]> {
  const { rows } = await bench.client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace
       AND (relname LIKE '%rollup%' OR relname LIKE '%_late' OR relname LIKE '%_brin')
     UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = $1::regnamespace
     UNION ALL SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
     WHERE c.relnamespace = $1::regnamespace AND NOT tgisinternal`,
    [`"${schema}"`],
  );
  return rows.map(({ name }) => name);
}

describe('a ledger without rollups in its definition', () => {
  it('makes none, and its table accepts changes', async () => {
    const plain = defineLedger({ schema: ownSchema() });
    bench = await openRollupBench(url, plain);
    expect(await traces(plain)).toEqual([]);
    expect(await verify(plain)).toEqual([]);
    await insert(3);
    await bench.client.query(`UPDATE ${bench.table} SET prompt_tokens = 2`);
    expect(await entries({ userId: 1 })).toBe(3);
    await bench.client.query(`TRUNCATE ${bench.table}`);
  });

  it('keeps those in the database in use: refreshed, read and guarded', async () => {
    const options = { schema: ownSchema(), columns: { model: 'text' } } as const;
    bench = await openRollupBench(
      url,
      defineLedger({ ...options, rollup: { dimensions: ['model'] } }),
    );
    const plain = defineLedger({ schema: options.schema });
    expect(await migrate(plain)).toEqual([]);
    expect(await verify(plain)).toEqual([]);
    await insert(300);
    const clock = new ManualClock();
    const warn = (line: string): void => void bench.notices.push(line);
    const rollups = new LedgerRollups({
      definition: plain,
      connections: bench.connections,
      reads: bench.connections,
      clock,
      logger: { log: () => {}, warn, error: warn },
    });
    rollups.start(() => 0);
    expect(await rollups.read({ filters: [], from: undefined, to: undefined }, 5_000)).toBe(
      undefined,
    );
    await rollups.find();
    const isRefreshed = async (): Promise<boolean> => {
      await clock.advance(MINUTE_MS);
      return (await bench.closedBefore()) !== null;
    };
    // The server's clock is ten seconds ahead of the watermark.
    await expect.poll(isRefreshed, { timeout: 30_000, interval: 500 }).toBe(true);
    rollups.stop();
    // Entries in buckets are not read again: this changes the buckets' sums.
    await bench.client.query(`UPDATE ${bench.names.sqlRollups} SET entries = 2 * entries`);
    expect(
      await rollups.read({ filters: [], from: undefined, to: undefined }, 5_000),
    ).toMatchObject({ entries: '600' });
    await expectRefused(bench.client, `DELETE FROM ${bench.table}`);
    expect(bench.notices).toEqual([]);
  }, 60_000);

  it('drops them with migrate --drop-rollups, and may request them again', async () => {
    const schema = ownSchema();
    const asking = defineLedger({ schema, rollup: true });
    bench = await openRollupBench(url, asking);
    await insert(300);
    await bench.refreshAll();
    const command = ['migrate', '--database-url', url, '--drop-rollups'];
    const at = [...command, ...definitionOptions(defineLedger({ schema }))];
    const said: string[] = [];
    const output = outputTo((text) => void said.push(text));
    expect(await runProgram([...command, ...definitionOptions(asking)], output)).toBe(2);
    expect(said.at(-1)).toContain('while the definition asks for rollups');
    expect(await runProgram(at, output)).toBe(0);
    expect(said.slice(-2)).toEqual([
      'migrated drop_rollups',
      expect.stringMatching(/^migrated .*:choose_indexes\+user_id:\d+$/),
    ]);
    expect(await traces(asking)).toEqual([]);
    expect(await runProgram(at, output)).toBe(0);
    expect(said.at(-1)).toBe('nothing to migrate');
    // A running ledger adds up the rows.
    await bench.client.query(`DELETE FROM ${bench.table} WHERE created_at < '2026-01-02Z'`);
    expect(await entries()).toBe(277);
    expect(await migrate(asking)).toHaveLength(2);
    await expectRefused(bench.client, `DELETE FROM ${bench.table}`);
    await bench.refreshAll();
    expect([await entries(), (await bench.closedBefore()) === null]).toEqual([277, false]);
  });
});

describe('rollups of an earlier version', () => {
  /** Replaces the guard by that version's triggers. */
  async function makeEarlier(schema: string): Promise<void> {
    const { client, table, names } = bench;
    const own = `"${schema}"`;
    await client.query(`ALTER TABLE ${names.sqlState} DROP COLUMN paused;
      DELETE FROM ${own}.usage_entries_migrations WHERE name LIKE '%:guard_rollups:%'`);
    for (const event of ['update', 'delete', 'truncate']) {
      await client.query(`DROP FUNCTION ${own}.usage_entries_rollup_${event} CASCADE`);
      await client.query(`CREATE FUNCTION ${own}.usage_entries_rollup_${event}() RETURNS trigger
        LANGUAGE plpgsql AS $$ BEGIN PERFORM FROM ${table} LIMIT 0; RETURN NULL; END $$`);
      await client.query(`CREATE TRIGGER usage_entries_rollup_${event} AFTER ${event} ON ${table}
        FOR EACH STATEMENT EXECUTE FUNCTION ${own}.usage_entries_rollup_${event}()`);
    }
  }

  it('stay unchanged, with the notes of their triggers, and are guarded from then on', async () => {
    const schema = ownSchema();
    const usage = defineLedger({ schema, rollup: true });
    bench = await openRollupBench(url, usage);
    const { client, table, names } = bench;
    await insert(1000);
    await bench.refreshAll();
    await makeEarlier(schema);
    await client.query(`DELETE FROM ${table} WHERE created_at < '2026-01-02Z'`);
    await client.query(`INSERT INTO ${names.sqlMarks}
        (created_at, written_at, user_id, consumed, supplied, entries)
      SELECT at, at, 1, -1, 0, -1
      FROM (SELECT '2026-01-01Z'::timestamptz + n * interval '1 hour' AS at
        FROM generate_series(1, 23) n) AS gone`);
    expect(
      await bench
        .refresher()
        .refresh()
        .catch((error: { code: string }) => error.code),
    ).toBe('42703');
    const closed = await bench.closedBefore();
    expect(await migrate(usage)).toEqual([expect.stringContaining(':guard_rollups:')]);
    expect(await verify(usage)).toEqual([]);
    expect(await bench.closedBefore()).toEqual(closed);
    expect([await entries(), await entries({ userId: 1 })]).toEqual([977, 977]);
    await expectRefused(client, `DELETE FROM ${table}`);
    await bench.refreshAll();
    expect([await entries(), await entries({ userId: 1 })]).toEqual([977, 977]);
    const { rowCount } = await client.query(`SELECT FROM ${names.sqlMarks}`);
    expect(rowCount).toBe(0);
  });

  it.each([
    ['lacks one', 'DROP TRIGGER usage_entries_rollup_delete ON %'],
    ['has one that is disabled', 'ALTER TABLE % DISABLE TRIGGER usage_entries_rollup_update'],
  ])('start again if the table %s', async (_, statement) => {
    const schema = ownSchema();
    const usage = defineLedger({ schema, rollup: true });
    bench = await openRollupBench(url, usage);
    await insert(1000);
    await bench.refreshAll();
    await makeEarlier(schema);
    await bench.client.query(statement.replace('%', bench.table));
    await bench.client.query(`DELETE FROM ${bench.table} WHERE created_at < '2026-01-02Z'`);
    await migrate(usage);
    expect(await bench.closedBefore()).toBeNull();
    expect(await entries()).toBe(977);
    await bench.refreshAll();
    expect(await entries()).toBe(977);
  });
});

describe('migrations of rollups', () => {
  it('make them again if the table was dropped and made again', async () => {
    const definition = defineLedger({ schema: ownSchema(), rollup: true });
    bench = await openRollupBench(url, definition);
    await insert(2);
    await bench.refreshAll();
    await bench.client.query(`DROP TABLE ${bench.table}`);
    await migrate(definition);
    await insert(1);
    expect(await entries()).toBe(1);
  });

  it.each(['rollups', 'rollup_marks', 'rollup_state'])(
    'make them again if the table of %s was dropped',
    async (name) => {
      const definition = defineLedger({ schema: ownSchema(), rollup: true });
      bench = await openRollupBench(url, definition);
      await insert(300);
      await bench.refreshAll();
      await bench.client.query(`DROP TABLE "${definition.schema}".usage_entries_${name}`);
      await migrate(definition);
      expect(await verify(definition)).toEqual([]);
      expect(await entries()).toBe(300);
      await bench.refreshAll();
      expect(await entries()).toBe(300);
    },
  );

  it('do not change those with more dimensions, and every instance refreshes them', async () => {
    const options = { schema: ownSchema(), columns: { model: 'text' } } as const;
    const more = defineLedger({ ...options, rollup: { dimensions: ['model'] } });
    bench = await openRollupBench(url, more);
    const less = defineLedger({ ...options, rollup: true });
    expect(await migrate(less)).toEqual([]);
    expect(await verify(less)).toEqual([]);
    await insert(600);
    await bench.client.query(
      `INSERT INTO ${bench.table} SELECT gen_random_uuid(), user_id, api_key_id, service_id,
         prompt_tokens, completion_tokens, direction, memo, attributes, corrects, created_at,
         written_at, 'a' FROM ${bench.table}`,
    );
    const refresher = bench.refresher({ definition: less });
    const isRefreshed = async (): Promise<boolean> => {
      await refresher.refresh();
      return (await bench.closedBefore()) !== null;
    };
    await expect.poll(isRefreshed, { timeout: 20_000 }).toBe(true);
    await bench.refreshAll();
    const found = [await entries({ userId: 1 }), await entries({ userId: 1, model: 'a' })];
    expect(found).toEqual([1200, 600]);
    expect(bench.notices).toEqual([]);
  });
});

describe('a change of a table with rollups', () => {
  it('is refused until a pause, and again after a rebuild, in any order', async () => {
    bench = await openRollupBench(url, defineLedger({ schema: ownSchema(), rollup: true }));
    const { client, table, names } = bench;
    await insert(300);
    await bench.refreshAll();
    const statement = `DELETE FROM ${table} WHERE created_at < '2026-01-02Z'`;
    for (const each of [statement, `UPDATE ${table} SET memo = 'x'`, `TRUNCATE ${table}`]) {
      await expectRefused(client, each);
    }
    expect(await bench.refresher().pause()).toBe(true);
    expect((await bench.refresher().refresh()).outcome).toBe('paused');
    const other: pg.Client = await bench.connect();
    await other.query(`BEGIN; ${statement}`);
    // The change is not committed, so a rebuild would miss it.
    expect(await bench.refresher().empty()).toBe(false);
    await other.query('COMMIT');
    expect(await entries()).toBe(277);
    // A change that begins while a rebuild commits waits for it, and is refused.
    await other.query(`BEGIN; LOCK TABLE ${names.sqlState} IN EXCLUSIVE MODE`);
    const late = client.query(statement).catch((error: { code: string }) => error.code);
    const waits = `SELECT FROM pg_locks WHERE NOT granted AND mode = 'RowShareLock'`;
    await expect.poll(async () => (await other.query(waits)).rowCount).toBe(1);
    await other.query(`UPDATE ${names.sqlState} SET paused = false,
      closed_before = '-infinity', written_until = '-infinity'; COMMIT`);
    expect(await late).toBe('23001');
    await bench.refreshAll();
    expect(await entries()).toBe(277);
  });
});
