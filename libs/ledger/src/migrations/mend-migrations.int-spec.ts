import type { TableFault } from '../postgres/table-fault.interface.js';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  openRollupBench,
  ownSchema,
  type RollupBench,
} from '../rollup/fixtures/rollup-bench.fixture.js';
import { outputTo } from '../cli/fixtures/command-output.fixture.js';
import { definitionOptions } from '../cli/fixtures/definition-options.fixture.js';
import { runProgram } from '../cli/program.js';
import { defineLedger, type LedgerDefinition } from '../define-ledger.js';
import { prepareTable, runMigrations, verifyTable } from './fixtures/wired-migrations.fixture.js';

const url = inject('databaseUrl');

let schema: string;
let usage: LedgerDefinition;
let bench: RollupBench;
beforeEach(async () => {
  schema = ownSchema();
  usage = defineLedger({
    schema,
    columns: { model: 'text', region: 'text' },
    immutable: true,
    rollup: true,
  });
  bench = await openRollupBench(url, usage);
});
afterEach(() => bench.close());

const migrate = (definition = usage): Promise<string[]> =>
  runMigrations({ type: 'postgres', url }, definition);

function verify(definition = usage): Promise<TableFault[]> {
  const { client } = bench;
  return verifyTable(async (sql, values) => (await client.query(sql, values)).rows, definition);
}

/** Entries of one token each, contained in buckets. */
async function addHeld(count: number): Promise<void> {
  await bench.client.query(
    `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     SELECT gen_random_uuid(), 1, 1, 0, 'consume', '2026-01-05Z'::timestamptz + n * interval '1 minute'
     FROM generate_series(1, ${count}) n`,
  );
  await bench.refreshAll();
}

describe('objects lost after their migration', () => {
  it.each([
    ['FUNCTION % CASCADE', 'usage_entries_immutable', /is missing: entries may be changed/],
    ['FUNCTION %', 'usage_entries_rollup_summary', /is missing: summary\(\) may be wrong/],
    [
      'FUNCTION % CASCADE',
      'usage_entries_rollup_delete',
      /entries may be changed, and rollups miss/,
    ],
    ['TABLE %', 'usage_entries_rollup_marks', /rollups are missing/],
  ])('is reported and restored: DROP %s of %s', async (drop, name, problem) => {
    const sqlName = `"${schema}".${name}`;
    await bench.client.query(`DROP ${drop.replace('%', sqlName)}`);
    expect(await verify()).toMatchObject([
      { kind: 'warning', problem: expect.stringMatching(problem) as string },
    ]);
    expect(await migrate()).toHaveLength(1);
    expect(await verify()).toEqual([]);
    expect(await migrate()).toEqual([]);
  });

  it('keeps sums right that changed while the guard was missing', async () => {
    await addHeld(1000);
    const { client, table, reader } = bench;
    await client.query(`DROP FUNCTION "${schema}".usage_entries_immutable CASCADE;
      DROP FUNCTION "${schema}".usage_entries_rollup_delete CASCADE;
      DELETE FROM ${table} WHERE created_at < '2026-01-05T05:00Z'`);
    await migrate();
    expect((await reader.summary({})).entries).toBe(701);
    await bench.refreshAll();
    expect((await reader.summary({})).entries).toBe(701);
    await expect(client.query(`DELETE FROM ${table}`)).rejects.toMatchObject({ code: '23001' });
  });

  it('reports dimensions that another definition removed, and makes them again', async () => {
    const by = (...dimensions: ('model' | 'region')[]): LedgerDefinition =>
      defineLedger({
        schema,
        columns: { model: 'text', region: 'text' },
        rollup: { dimensions },
      });
    for (const dimension of ['model', 'region', 'model'] as const) {
      const problem = `rollups have no dimension ${dimension}: summary() adds up all rows`;
      const told = (await verify(by(dimension))).map((fault) => fault.problem);
      expect(told).toEqual([expect.stringContaining('usage_entries_rollup_summary'), problem]);
      expect(await migrate(by(dimension))).toHaveLength(2);
      expect(await verify(by(dimension))).toEqual([]);
    }
  });
});

it('nestjs-ledger migrate makes a table immutable', async () => {
  const definition = defineLedger({ schema, table: 'other', immutable: true });
  const output = outputTo(() => undefined);
  expect(
    await runProgram(['migrate', '--database-url', url, ...definitionOptions(definition)], output),
  ).toBe(0);
  await expect(bench.client.query(`DELETE FROM "${schema}".other`)).rejects.toMatchObject({
    code: '23001',
  });
});

it('entries are written while rollups wait for an endless read', async () => {
  const reading = await bench.connect();
  await reading.query(`BEGIN; SELECT FROM ${bench.names.sqlRollups}`);
  const definition = defineLedger({
    schema,
    columns: { model: 'text' },
    rollup: { dimensions: ['model'] },
  });
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const options = { mode: 'run', deadLetters: true } as const;
  const prepare = (): Promise<void> =>
    prepareTable(bench.connections, definition, { ...options, logger: { log: say, warn: say } });
  // The interrupted attempt is retried at once, like after any lost connection.
  const isCut = bench.client.query(`DO $$ BEGIN
    LOOP PERFORM pg_terminate_backend(pid) FROM pg_locks
        WHERE relation = '${bench.names.sqlRollups}'::regclass AND NOT granted;
      EXIT WHEN FOUND;
      PERFORM pg_sleep(0.01);
    END LOOP; END $$`);
  await expect(prepare()).rejects.toThrow();
  await isCut;
  expect(lines).toEqual([]);
  await prepare();
  expect(lines).toEqual([
    expect.stringMatching(
      /^WARNING: not migrated, but entries are still written: .*model.* \(55P03\)\)$/,
    ),
    expect.stringMatching(/^WARNING: not migrated, .*guard_rollups\+model.* \(55000\)\)$/),
    expect.stringMatching(/^WARNING: function .*usage_entries_rollup_summary/),
    expect.stringMatching(/^WARNING: rollups have no dimension model: .*nestjs-ledger migrate/),
  ]);
  await reading.query('ROLLBACK');
  lines.length = 0;
  await prepare();
  expect(lines).toEqual([expect.stringMatching(/^migrated: .*create_.*model.*guard_.*model/)]);
});
