import type { Command } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { entryIndexes } from '../migrations/rollup-migrations.js';
import { rollupNames } from '../migrations/rollup-tables.js';
import { tableNames } from '../migrations/table-names.js';
import { RollupPass } from '../reading/rollup/rollup-pass.js';
import { PgConnections } from '../sink/postgres/pg-connections.js';
import { readPgError } from '../sink/postgres/read-pg-error.js';
import { CommandDatabase, type TableOptions } from './command-database.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { addTableOptions } from './table-options.js';

/** What `rollup` is told. @internal */
export interface RollupOptions extends TableOptions {
  readonly rebuild?: boolean;
  readonly json?: boolean;
}

/** Milliseconds between two passes when there is nothing to fold but transactions to wait for. */
const PAUSE_MS = 1_000;
/** Milliseconds after which open transactions are no longer waited for. */
const WAIT_MS = 60_000;
const COMMON = ['user_id', 'api_key_id', 'service_id'];

const EXAMPLES = `
Examples:
  $ nestjs-ledger rollup --database-url postgres://localhost/app
  $ nestjs-ledger rollup --schema metering --rebuild

Exit code: 0, or 2 if it could not be done.`;

/** Adds `nestjs-ledger rollup`. @internal */
export function addRollupCommand(program: Command, output: CommandOutput): void {
  const command = program
    .command('rollup')
    .description("bring a ledger's rollups up to date, for ledgers whose own role may not")
    .option('--rebuild', 'forget them first and make them anew from the rows')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES);
  addTableOptions(command).action(async (options: RollupOptions) => {
    const result = await rollup(options);
    output.line(options.json ? JSON.stringify({ result }) : result);
  });
}

/** One that was left half made is made anew; a partitioned table takes them as they come. */
async function makeIndexes(dataSource: DataSource, definition: LedgerTable): Promise<void> {
  const names = tableNames(definition);
  const { sqlBrin, sqlLate } = rollupNames(definition, definition.schema);
  const broken = await dataSource.query<{ name: string }[]>(
    `SELECT indexrelid::regclass::text AS name FROM pg_catalog.pg_index
     WHERE NOT indisvalid AND indexrelid IN (to_regclass($1), to_regclass($2))`,
    [sqlBrin, sqlLate],
  );
  for (const { name } of broken) await dataSource.query(`DROP INDEX ${name}`);
  for (const sql of entryIndexes(definition, names, 'CONCURRENTLY')) await dataSource.query(sql);
}

/**
 * Folds until there is nothing left to fold.
 *
 * @returns a line for a person
 * @throws CommandError if the database can't be reached, refuses, or has no rollups
 * @internal
 */
export async function rollup(options: RollupOptions): Promise<string> {
  const database = await CommandDatabase.open(options);
  const { dataSource } = database;
  try {
    const plain = database.definitionFor([]);
    const { sqlState } = rollupNames(plain, plain.schema);
    const [state] = await dataSource.query<{ dimensions: string[] }[]>(
      `SELECT dimensions FROM ${sqlState}`,
    );
    const declared = (state?.dimensions ?? []).filter((name) => !COMMON.includes(name));
    // A column is told by its own name: its snake case is the same again.
    const definition = { ...plain, rollup: declared };
    await makeIndexes(dataSource, definition);
    const connections = new PgConnections({
      dataSource: () => dataSource,
      ownsDataSource: false,
    });
    const pass = new RollupPass({ definition, connections, restFactor: 0 });
    if (options.rebuild) await pass.clear();
    return await foldAll(pass);
  } catch (error) {
    throw new CommandError(`can't roll up: ${readPgError(error).text}`);
  } finally {
    await database.close();
  }
}

async function foldAll(pass: RollupPass): Promise<string> {
  let startedAt = performance.now();
  let folds = 0;
  for (let looks = 0; performance.now() - startedAt < WAIT_MS; looks++) {
    const { outcome, isBehind } = await pass.run();
    if (outcome === 'other-dimensions' || outcome === 'hidden-rows' || outcome === 'no-indexes') {
      return `nothing done: ${outcome}`;
    }
    if (outcome === 'folded') folds++;
    if (isBehind) startedAt = performance.now();
    // The first look only notes which transactions are running.
    else if (outcome === 'folded' && looks > 0) break;
    else await sleep(PAUSE_MS);
  }
  return `rolled up in ${folds} steps`;
}
