import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  openRollupBench,
  ownSchema,
  type RollupBench,
} from '../rollup/fixtures/rollup-bench.fixture.js';
import { expectRefused } from '../rollup/fixtures/rollup-history.fixture.js';
import { defineLedger } from '../define-ledger.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { definitionOptions } from './fixtures/definition-options.fixture.js';
import { runProgram } from './program.js';
import { rollup, type RollupReport } from './rollup.command.js';

const url = inject('databaseUrl');
const usage = defineLedger({ schema: ownSchema(), rollup: true });
/** Long enough for a second look, and short for a test. */
const WAIT_MS = 1_500;
let bench: RollupBench;
let lines: string[];
let warnings: string[];

beforeAll(async () => {
  bench = await openRollupBench(url, usage);
});
beforeEach(async () => {
  await bench.change(`TRUNCATE ${bench.table}`);
  lines = [];
  warnings = [];
});
afterAll(() => bench.close());

const output = outputTo(
  (text) => void lines.push(text),
  (text) => void warnings.push(text),
);

/** The exit code of the command as a person gives it. */
function run(databaseUrl: string, ...args: string[]): Promise<number> {
  const own = ['--database-url', databaseUrl, ...definitionOptions(usage)];
  return runProgram(['rollup', ...own, ...args], output);
}

/** What the command says that it can't do, when it waits for less than a minute. */
async function refusal(rebuild = false): Promise<RollupReport & { exitCode: number }> {
  const [, definition] = definitionOptions(usage);
  const options = { databaseUrl: url, definition, rebuild };
  const error: unknown = await rollup(options, WAIT_MS).catch((thrown: unknown) => thrown);
  const { report, exitCode, message } = error as {
    readonly report: RollupReport;
    readonly exitCode: number;
    readonly message: string;
  };
  expect(message).toBe(report.result);
  return { ...report, exitCode };
}

async function insert(count: number): Promise<void> {
  await bench.client.query(
    `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     SELECT gen_random_uuid(), 1, 1, 1, 'consume', '2026-01-05'::timestamptz + n * interval '1 s'
     FROM generate_series(1, $1::int) n`,
    [count],
  );
}

describe('nestjs-ledger rollup', () => {
  it('ends with 0 within seconds where there is nothing to refresh', async () => {
    const startedAt = performance.now();
    // The first one notes how far an empty table was read; then it is up to date.
    expect([await run(url), await run(url)]).toEqual([0, 0]);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(lines.at(-1)).toBe('refreshed in 0 steps');
    expect(warnings).toEqual([]);
  });

  it('gives a program the outcome and the number of steps', async () => {
    expect(await run(url, '--json', '--rebuild')).toBe(0);
    expect(await run(url, '--json')).toBe(0);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { result: 'refreshed in 1 steps', outcome: 'refreshed', steps: 1 },
      { result: 'refreshed in 0 steps', outcome: 'idle', steps: 0 },
    ]);
  });

  it('ends with 2 where row-level security hides entries, and names the remedy', async () => {
    const role = `owner_${randomUUID().slice(0, 8)}`;
    const { client, table, names } = bench;
    await client.query(`CREATE ROLE ${role};
      GRANT CREATE, USAGE ON SCHEMA "${usage.schema}" TO ${role};
      GRANT SELECT, UPDATE, DELETE ON ${names.sqlState}, ${names.sqlMarks}, ${names.sqlRollups} TO ${role};
      ALTER TABLE ${table} OWNER TO ${role};
      ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`);
    try {
      const as = new URL(url);
      as.searchParams.set('options', `-c role=${role}`);
      expect(await run(as.href, '--json')).toBe(2);
      expect(JSON.parse(lines.join('\n'))).toMatchObject({ outcome: 'hidden-rows', steps: 0 });
      expect(warnings.join('\n')).toMatch(/^error: nothing done \(hidden-rows\): .*BYPASSRLS/);
      lines = [];
      expect(await run(as.href)).toBe(2);
      expect(lines).toEqual([]);
    } finally {
      await client.query(`ALTER TABLE ${table} OWNER TO CURRENT_USER, DISABLE ROW LEVEL SECURITY,
        NO FORCE ROW LEVEL SECURITY; DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('ends with 2 where an index can not be made', async () => {
    const { client, names } = bench;
    await client.query(`DROP INDEX ${names.sqlLate}; CREATE TABLE ${names.sqlLate} ()`);
    try {
      expect(await run(url)).toBe(2);
      expect(warnings.join('\n')).toContain(`(no-indexes): ${names.sqlBrin} and ${names.sqlLate}`);
    } finally {
      await client.query(`DROP TABLE ${names.sqlLate}`);
    }
    expect(await run(url)).toBe(0);
  });

  it('ends with 2 where a migration came between', async () => {
    const { client, table, names } = bench;
    const blocker = await bench.connect();
    await blocker.query(`BEGIN; LOCK TABLE ${table} IN SHARE UPDATE EXCLUSIVE MODE`);
    const running = run(url);
    const waits = `SELECT FROM pg_locks WHERE NOT granted AND relation = '${table}'::regclass`;
    await expect
      .poll(async () => (await client.query(waits)).rowCount, { timeout: 20_000 })
      .toBe(1);
    await client.query(`UPDATE ${names.sqlState} SET dimensions = '{user_id}'`);
    try {
      await blocker.query('COMMIT');
      expect(await running).toBe(2);
      expect(warnings.join('\n')).toContain('nothing done (other-dimensions): a migration');
    } finally {
      await client.query(
        `UPDATE ${names.sqlState} SET dimensions = '{user_id,api_key_id,service_id}'`,
      );
    }
    expect(await run(url)).toBe(0);
  });

  it('waits for transactions that are open, and says so with 2 if they stay', async () => {
    await insert(5);
    const open = await bench.connect();
    await open.query('BEGIN; SELECT 1');
    const found = await refusal();
    expect(found).toMatchObject({ outcome: 'waiting', steps: 0, exitCode: 2 });
    expect(found.result).toMatch(/pg_stat_activity and pg_prepared_xacts have them/);
    const running = run(url);
    await open.query('COMMIT');
    expect(await running).toBe(0);
    expect(await bench.closedBefore()).not.toBeNull();
  });

  it('ends with 2 while another process has the rollups locked', async () => {
    await insert(5);
    await bench.refreshAll();
    // So that there is something to do at once.
    await bench.client.query(`INSERT INTO ${bench.names.sqlMarks}
      (created_at, written_at, user_id, consumed, supplied, entries)
      VALUES ('2026-01-05', '2026-01-05', 1, 0, 0, 0)`);
    const other = await bench.connect();
    await other.query(`BEGIN; LOCK TABLE ${bench.names.sqlState} IN EXCLUSIVE MODE`);
    const found = await refusal();
    expect(found).toMatchObject({ outcome: 'busy', steps: 0, exitCode: 2 });
    expect(found.result).toContain('run it again afterwards');
    await other.query('ROLLBACK');
  });

  it('waits for the lock of another process before it makes them again', async () => {
    const other = await bench.connect();
    await other.query(`BEGIN; LOCK TABLE ${bench.names.sqlState} IN EXCLUSIVE MODE`);
    const found = await refusal(true);
    expect(found).toMatchObject({ outcome: 'busy', steps: 0, exitCode: 2 });
    expect(found.result).toContain('run it again afterwards');
    const running = run(url, '--rebuild');
    const refused = `SELECT FROM pg_stat_activity
      WHERE application_name = 'nestjs-ledger command' AND query = 'ROLLBACK'`;
    const isRefused = async (): Promise<number | null> =>
      (await bench.client.query(refused)).rowCount;
    await expect.poll(isRefused, { timeout: 20_000, interval: 20 }).toBe(1);
    await other.query('ROLLBACK');
    expect(await running).toBe(0);
  });

  it('pauses rollups, and ends the pause by a rebuild', async () => {
    await insert(5);
    await bench.refreshAll();
    const change = `UPDATE ${bench.table} SET prompt_tokens = 2`;
    await expectRefused(bench.client, change);
    expect(await run(url, '--json', '--pause')).toBe(0);
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ outcome: 'paused', steps: 0 });
    await bench.client.query(change);
    expect(await run(url)).toBe(2);
    expect(warnings.at(-1)).toMatch(/^error: nothing done \(paused\): .*rollup --rebuild/);
    expect(await run(url, '--pause', '--rebuild')).toBe(2);
    expect(await run(url, '--rebuild')).toBe(0);
    await expectRefused(bench.client, change);
    const { consumedTokens } = await bench.reader.summary({ userId: 1 });
    expect(consumedTokens).toBe(15);
  });

  it('names the remedy where the server refuses', async () => {
    const role = `reader_${randomUUID().slice(0, 8)}`;
    const plain = ownSchema();
    const { client, names } = bench;
    await client.query(`CREATE ROLE ${role}; GRANT USAGE ON SCHEMA "${usage.schema}" TO ${role};
      GRANT SELECT ON ${names.sqlState} TO ${role}`);
    const as = new URL(url);
    try {
      as.searchParams.set('options', `-c role=${role}`);
      expect(await run(as.href, '--rebuild')).toBe(2);
      expect(warnings.at(-1)).toMatch(/\(42501\).*: run it as the tables' owner$/);
      as.searchParams.set('options', '-c default_transaction_read_only=on');
      expect(await run(as.href, '--rebuild')).toBe(2);
      expect(warnings.at(-1)).toMatch(/\(25006\): give the address of the primary/);
      const at = ['--database-url', url, ...definitionOptions(defineLedger({ schema: plain }))];
      expect(await runProgram(['migrate', ...at], output)).toBe(0);
      expect(await runProgram(['rollup', ...at], output)).toBe(2);
      expect(warnings.at(-1)).toMatch(
        /\(42P01\): there are no rollups; define the ledger with `rollup: true`, and migrate$/,
      );
    } finally {
      await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role};
        DROP SCHEMA IF EXISTS "${plain}" CASCADE`);
    }
  });
});
