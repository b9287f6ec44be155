import type { Command } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeEntryIndexes } from '../migrations/rollup-indexes.js';
import { BUILT_IN_DIMENSIONS, rollupNames } from '../migrations/rollup-tables.js';
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
    const declared = (state?.dimensions ?? []).filter(
      (name) => !BUILT_IN_DIMENSIONS.includes(name),
    );
    // A column is told by its own name: its snake case is the same again.
    const definition = { ...plain, rollup: declared };
    await makeEntryIndexes((sql, values) => dataSource.query(sql, values), definition);
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
    else if ((outcome === 'folded' || outcome === 'idle') && looks > 0) break;
    else await sleep(PAUSE_MS);
  }
  return `rolled up in ${folds} steps`;
}
