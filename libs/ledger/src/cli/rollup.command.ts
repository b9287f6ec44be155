import type { Command } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { readPgError } from '../postgres/read-pg-error.js';
import { adoptRollups } from '../rollup/adopt-rollups.js';
import { makeEntryIndexes } from '../rollup/entry-indexes.js';
import { rollupNames, type RollupNames } from '../rollup/rollup-layout.js';
import { RollupRefresher, type RefreshOutcome } from '../rollup/rollup-refresher.js';
import { CommandDatabase } from './command-database.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { addLedgerOptions, type LedgerCommandOptions } from './ledger-options.js';
import { loadDefinition } from './load-definition.js';

/** Options of `rollup`. @internal */
export interface RollupOptions extends LedgerCommandOptions {
  readonly pause?: boolean;
  readonly rebuild?: boolean;
  readonly json?: boolean;
}

/** What `rollup` did. @internal */
export interface RollupReport {
  /** A line for a person, with the remedy where one is needed. */
  readonly result: string;
  /**
   * `refreshed` and `idle`: rollups are up to date. `paused`: they are paused, which is what was asked
   * for with `--pause`. All others need a person.
   */
  readonly outcome: RefreshOutcome;
  /** Refreshes, each a committed transaction, independent of later failures. */
  readonly steps: number;
}

/** Rollups are not up to date, and running on would not make them so. @internal */
export class RollupStoppedError extends CommandError {
  constructor(readonly report: RollupReport) {
    super(report.result);
  }
}

/** Milliseconds between two refreshes when there is nothing to do but wait for transactions. */
const PAUSE_MS = 1_000;
/** Milliseconds after which open transactions, and another process's refreshes, are no longer waited for. */
const WAIT_MS = 60_000;

/** What helps, by SQLSTATE: undefined table or column, insufficient privilege, read-only transaction. */
const REFUSALS: Readonly<Record<string, string>> = {
  '42P01': 'there are no rollups; define the ledger with `rollup: true`, and migrate',
  '42501': "run it as the tables' owner",
  '25006': 'give the address of the primary, and a role that may write',
};

const EXAMPLES = `
Examples:
  $ nestjs-ledger rollup --database-url postgres://localhost/app
  $ nestjs-ledger rollup -d dist/usage.ledger.js --pause      # entries may be changed now
  $ nestjs-ledger rollup -d dist/usage.ledger.js --rebuild    # entries are protected again

Exit code: 0 if rollups are up to date, or paused with --pause, 2 if the command failed.`;

/** Adds `nestjs-ledger rollup`. @internal */
export function addRollupCommand(program: Command, output: CommandOutput): void {
  const command = program
    .command('rollup')
    .description("bring a ledger's rollups up to date, if the ledger's own role may not")
    .option('--pause', 'allow changes of entries; summaries add up the rows until --rebuild')
    .option('--rebuild', 'rebuild them from the rows, and end a pause')
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
 * Refreshes rollups until there is nothing left to do, after a rebuild if asked; or pauses them.
 *
 * @param waitMs milliseconds without progress after which it gives up
 * @throws RollupStoppedError if rollups are not up to date afterwards, or not paused; CommandError if the
 *   database can't be reached, refuses, or has no rollups
 * @internal
 */
export async function rollup(options: RollupOptions, waitMs = WAIT_MS): Promise<RollupReport> {
  if (options.pause && options.rebuild)
    throw new CommandError('give either --pause or --rebuild, not both');
  const database = await CommandDatabase.open(await loadDefinition(options), options);
  const { connections, query } = database;
  try {
    const placed = { ...database.definition, schema: database.names.schema };
    const definition = await adoptRollups(query, placed);
    const refresher = new RollupRefresher({ definition, connections, restFactor: 0 });
    const names = rollupNames(definition);
    const rebuild = database.command('rollup --rebuild');
    if (options.pause)
      return pauseReport(await retry(() => refresher.pause(), waitMs), names, rebuild);
    await database.use((session) => makeEntryIndexes(session, definition));
    const isReady = !options.rebuild || (await retry(() => refresher.empty(), waitMs));
    const { outcome, steps } = isReady
      ? await refreshAll(refresher, waitMs)
      : ({ outcome: 'busy', steps: 0 } as const);
    if (outcome === 'refreshed' || outcome === 'idle') {
      return { result: `refreshed in ${steps} steps`, outcome, steps };
    }
    const done = steps === 0 ? 'nothing done' : `stopped after ${steps} steps`;
    const result = `${done} (${outcome}): ${remedyOf(outcome, names, rebuild)}`;
    throw new RollupStoppedError({ result, outcome, steps });
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const { code = '', text } = readPgError(error);
    const remedy =
      code === '42703'
        ? `the rollups are of an earlier version; run \`${database.command('migrate')}\``
        : REFUSALS[code];
    const why = remedy === undefined ? '' : `: ${remedy}`;
    throw new CommandError(`can't refresh the rollups: ${text}${why}`);
  } finally {
    await database.close();
  }
}

function pauseReport(isPaused: boolean, names: RollupNames, rebuild: string): RollupReport {
  if (isPaused) {
    const next = `entries may be changed now; run \`${rebuild}\` afterwards`;
    return { result: `paused: ${next}`, outcome: 'paused', steps: 0 };
  }
  const result = `nothing done (busy): ${remedyOf('busy', names, rebuild)}`;
  throw new RollupStoppedError({ result, outcome: 'busy', steps: 0 });
}

/** Refreshes of a running ledger hold the lock for seconds. @returns false if it stays taken */
async function retry(work: () => Promise<boolean>, waitMs: number): Promise<boolean> {
  const startedAt = performance.now();
  while (!(await work())) {
    if (performance.now() - startedAt >= waitMs) return false;
    await sleep(PAUSE_MS);
  }
  return true;
}

async function refreshAll(
  refresher: RollupRefresher,
  waitMs: number,
): Promise<Pick<RollupReport, 'outcome' | 'steps'>> {
  let waitsSince = performance.now();
  let steps = 0;
  for (let rounds = 0; ; rounds++) {
    const { outcome, isBehind } = await refresher.refresh();
    if (outcome === 'refreshed') steps++;
    if (outcome === 'refreshed' || isBehind) waitsSince = performance.now();
    if (isBehind) continue;
    const isDone = outcome === 'refreshed' || outcome === 'idle';
    // The first round only notes which transactions are running.
    if (isDone && rounds > 0) return { outcome: steps > 0 ? 'refreshed' : 'idle', steps };
    const mayChange = isDone || outcome === 'waiting' || outcome === 'busy';
    if (!mayChange || performance.now() - waitsSince >= waitMs) return { outcome, steps };
    await sleep(PAUSE_MS);
  }
}

/** What helps where a refresh comes no further. */
function remedyOf(
  outcome: Exclude<RefreshOutcome, 'refreshed' | 'idle'>,
  { sqlBrin, sqlLate, sqlState }: RollupNames,
  rebuild: string,
): string {
  switch (outcome) {
    case 'paused':
      return `they are paused; run \`${rebuild}\` once entries are changed`;
    case 'other-dimensions':
      return 'a migration changed the dimensions of the rollups in the meantime; run it again';
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
