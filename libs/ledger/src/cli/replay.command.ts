import type { Command } from 'commander';
import { CommandDatabase } from './command-database.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { addLedgerOptions, type LedgerCommandOptions } from './ledger-options.js';
import { loadDefinition } from './load-definition.js';
import { replayDeadLetters } from './replay-dead-letters.js';
import { replayFiles } from './replay-files.js';
import { ReplayReport } from './replay-report.js';
import { Replayer } from './replayer.js';
import { findSetAsideFiles } from './set-aside-files.js';

/** What `replay` is told. @internal */
export interface ReplayOptions extends LedgerCommandOptions {
  readonly fromTable?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ nestjs-ledger replay ledger-spill --dry-run
  $ nestjs-ledger replay ledger-spill -d dist/usage.ledger.js
  $ nestjs-ledger replay --from-table --json

May be interrupted and repeated: an entry is written once, by its uuid.
Exit code: 0, 1 if an entry was refused, a line can't be read or a file not moved, 2 if it could not
be done.`;

/** Adds `nestjs-ledger replay`. @param finish told the exit code @internal */
export function addReplayCommand(
  program: Command,
  output: CommandOutput,
  finish: (code: number) => void,
): void {
  const command = program
    .command('replay')
    .description('write spilled entries and dead letters into the table')
    .argument('[path]', 'a file, or a folder of files, of spilled entries or dead letters')
    .option('--from-table', 'replay the table of dead letters')
    .option('--dry-run', 'write nothing; say what would be written')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXAMPLES);
  addLedgerOptions(command).action(async (path: string | undefined, options: ReplayOptions) =>
    finish(await replay(path, options, output)),
  );
}

/**
 * Writes what was set aside. Idempotent by uuid: it may be interrupted and repeated.
 *
 * @returns the exit code: 0, or 1 if an entry was refused, a line or file could not be read, or a file
 *   not be moved
 * @throws CommandError, SinkTransientError, SinkHaltError
 * @internal
 */
export async function replay(
  path: string | undefined,
  options: ReplayOptions,
  output: CommandOutput,
): Promise<number> {
  if ((path === undefined) !== (options.fromTable === true)) {
    throw new CommandError('say what to replay: --from-table, or a file or folder');
  }
  const isDryRun = options.dryRun === true;
  const database = await CommandDatabase.open(await loadDefinition(options), options);
  const replayer = new Replayer(database, isDryRun);
  try {
    await database.checkColumns();
    const report = new ReplayReport();
    const parts = { report, output, isDryRun, replayer };
    if (path === undefined) await replayDeadLetters({ ...parts, database });
    else await replayFiles(await findSetAsideFiles(path), parts);
    if (options.json) output.line(JSON.stringify(report, null, 2));
    else for (const line of report.lines(isDryRun)) output.line(line);
    return report.isIncomplete ? 1 : 0;
  } finally {
    await database.close();
  }
}
