import type { Command } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeEntryIndexes } from '../rollup/rollup-indexes.js';
import { BUILT_IN_DIMENSIONS, rollupNames, type RollupNames } from '../rollup/rollup-tables.js';
import { RollupPass, type PassOutcome } from '../rollup/rollup-pass.js';
import { PgConnections } from '../postgres/pg-connections.js';
import { readPgError } from '../postgres/read-pg-error.js';
import { CommandDatabase } from './command-database.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { addLedgerOptions, type LedgerCommandOptions } from './ledger-options.js';
import { loadDefinition } from './load-definition.js';

/** What `rollup` is told. @internal */
export interface RollupOptions extends LedgerCommandOptions {
  readonly rebuild?: boolean;
  readonly json?: boolean;
}

/** What `rollup` did. @internal */
export interface RollupReport {
  /** A line for a person, with the remedy where one is needed. */
  readonly result: string;
  /** `folded` and `idle`: rollups are up to date. All others need a person. */
  readonly outcome: PassOutcome;
  /** Folds, each a transaction that is committed, whatever came after it. */
  readonly steps: number;
}

/** Rollups are not up to date, and running on would not make them so. @internal */
export class RollupStoppedError extends CommandError {
  constructor(readonly report: RollupReport) {
    super(report.result);
  }
}

/** Milliseconds between two passes when there is nothing to fold but transactions to wait for. */
const PAUSE_MS = 1_000;
/** Milliseconds after which open transactions, and another process's folds, are no longer waited for. */
const WAIT_MS = 60_000;

/** What helps, by SQLSTATE: undefined table, insufficient privilege, read-only transaction. */
const REFUSALS: Readonly<Record<string, string>> = {
  '42P01': 'there are no rollups; `npx nestjs-ledger migrate` makes them',
  '42501': "run it as the tables' owner",
  '25006': 'give the address of the primary, and a role that may write',
};

const EXAMPLES = `
Examples:
  $ nestjs-ledger rollup --database-url postgres://localhost/app
  $ nestjs-ledger rollup -d dist/usage.ledger.js --rebuild

Exit code: 0 if rollups are up to date, 2 if they could not be brought so far.`;

/** Adds `nestjs-ledger rollup`. @internal */
export function addRollupCommand(program: Command, output: CommandOutput): void {
  const command = program
    .command('rollup')
    .description("bring a ledger's rollups up to date, for ledgers whose own role may not")
    .option('--rebuild', 'forget them first and make them anew from the rows')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', EXAMPLES);
  addLedgerOptions(command).action(async (options: RollupOptions) => {
    try {
      const report = await rollup(options);
      output.line(options.json ? JSON.stringify(report) : report.result);
    } catch (error) {
      if (options.json && error instanceof RollupStoppedError) {
        output.line(JSON.stringify(error.report));
      }
      throw error;
    }
  });
}

/**
 * Folds until there is nothing left to fold.
 *
 * @param waitMs milliseconds without progress after which it gives up
 * @throws RollupStoppedError if rollups are not up to date afterwards; CommandError if the database
 *   can't be reached, refuses, or has no rollups
 * @internal
 */
export async function rollup(options: RollupOptions, waitMs = WAIT_MS): Promise<RollupReport> {
  const database = await CommandDatabase.open(await loadDefinition(options), options);
  const { dataSource } = database;
  try {
    const plain = { ...database.definition, schema: database.names.schema };
    const { sqlState } = rollupNames(plain, plain.schema);
    const [state] = await dataSource.query<{ dimensions: string[] }[]>(
      `SELECT dimensions FROM ${sqlState}`,
    );
    const declared = (state?.dimensions ?? []).filter(
      (name) => !BUILT_IN_DIMENSIONS.includes(name),
    );
    // A column is known by its own name: its snake case is the same again.
    const definition = { ...plain, rollup: declared };
    await makeEntryIndexes((sql, values) => dataSource.query(sql, values), definition);
    const connections = new PgConnections({
      dataSource: () => dataSource,
      ownsDataSource: false,
    });
    const pass = new RollupPass({ definition, connections, restFactor: 0 });
    const isCleared = !options.rebuild || (await clear(pass, waitMs));
    const { outcome, steps } = isCleared
      ? await foldAll(pass, waitMs)
      : ({ outcome: 'busy', steps: 0 } as const);
    if (outcome === 'folded' || outcome === 'idle') {
      return { result: `rolled up in ${steps} steps`, outcome, steps };
    }
    const done = steps === 0 ? 'nothing done' : `stopped after ${steps} steps`;
    const result = `${done} (${outcome}): ${remedyOf(outcome, rollupNames(plain, plain.schema))}`;
    throw new RollupStoppedError({ result, outcome, steps });
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const { code = '', text } = readPgError(error);
    const remedy = REFUSALS[code];
    throw new CommandError(`can't roll up: ${text}${remedy === undefined ? '' : `: ${remedy}`}`);
  } finally {
    await database.close();
  }
}

/** A running ledger's folds hold the lock for seconds. @returns false if it stays taken */
async function clear(pass: RollupPass, waitMs: number): Promise<boolean> {
  const startedAt = performance.now();
  while (!(await pass.clear())) {
    if (performance.now() - startedAt >= waitMs) return false;
    await sleep(PAUSE_MS);
  }
  return true;
}

async function foldAll(
  pass: RollupPass,
  waitMs: number,
): Promise<Pick<RollupReport, 'outcome' | 'steps'>> {
  let waitsSince = performance.now();
  let steps = 0;
  for (let looks = 0; ; looks++) {
    const { outcome, isBehind } = await pass.run();
    if (outcome === 'folded') steps++;
    if (outcome === 'folded' || isBehind) waitsSince = performance.now();
    if (isBehind) continue;
    const isDone = outcome === 'folded' || outcome === 'idle';
    // The first look only notes which transactions are running.
    if (isDone && looks > 0) return { outcome: steps > 0 ? 'folded' : 'idle', steps };
    const mayChange = isDone || outcome === 'waiting' || outcome === 'busy';
    if (!mayChange || performance.now() - waitsSince >= waitMs) return { outcome, steps };
    await sleep(PAUSE_MS);
  }
}

/** What helps where passes go no further. */
function remedyOf(
  outcome: Exclude<PassOutcome, 'folded' | 'idle'>,
  { sqlBrin, sqlLate, sqlState }: RollupNames,
): string {
  switch (outcome) {
    case 'other-dimensions':
      return 'a migration changed meanwhile what rollups tell apart; run it again';
    case 'hidden-rows':
      return (
        'row-level security hides entries from this role; run it as a role with BYPASSRLS, or as ' +
        "the table's owner, without FORCE ROW LEVEL SECURITY"
      );
    case 'no-indexes':
      return (
        `${sqlBrin} and ${sqlLate} must be valid indexes of the table; remove what else has ` +
        'their names, and run it again'
      );
    case 'waiting':
      return (
        'transactions that may still write entries of the past stay open; end them ' +
        '(pg_stat_activity and pg_prepared_xacts have them), and run it again'
      );
    case 'busy':
    case 'resting':
      return `another process has locked ${sqlState} (pg_locks has it); run it again afterwards`;
  }
}
