import type { Command } from 'commander';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { isSegment } from '../files/file-names.js';
import { readGivenFields } from '../sink/read-given-fields.js';
import { CommandDatabase } from './command-database.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { escapeInLine } from './escape-controls.js';
import { addLedgerOptions, type LedgerCommandOptions } from './ledger-options.js';
import { loadDefinition } from './load-definition.js';
import { replayDeadLetters } from './replay-dead-letters.js';
import { replayFiles, type ReplayFilesParts } from './replay-files.js';
import { readSegmentFile } from './replay-segment.js';
import { ReplayReport } from './replay-report.js';
import { Replayer } from './replayer.js';
import { findSetAsideFiles } from './set-aside-files.js';

/** Options of `replay`. @internal */
export interface ReplayOptions extends LedgerCommandOptions {
  readonly fromTable?: boolean;
  readonly dryRun?: boolean;
  readonly print?: boolean;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ nestjs-ledger replay ledger-spill --dry-run
  $ nestjs-ledger replay ledger-spill -d dist/usage.ledger.js
  $ nestjs-ledger replay --from-table --json
  $ nestjs-ledger replay ledger-spill -d dist/usage.ledger.js --print > entries.ndjson

You may interrupt and repeat it: an entry is stored only once, because of its uuid.
Exit code: 0, 1 if an entry was refused, a line can't be read or a file can't be moved, 2 if the
command failed.`;

/** Adds `nestjs-ledger replay`. @param finish called with the exit code @internal */
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
    .option('--dry-run', 'write nothing; show what would be written or refused')
    .option('--print', 'print the entries of .wal files as lines of JSON; needs no database')
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
    throw new CommandError('nothing to replay: give --from-table, or a file or folder');
  }
  const isDryRun = options.dryRun === true;
  const definition = await loadDefinition(options);
  if (options.print === true) return printEntries(path, definition, output);
  const database = await CommandDatabase.open(definition, options);
  const replayer = new Replayer(database, isDryRun);
  try {
    await database.checkColumns();
    const report = new ReplayReport();
    const parts = { report, output, isDryRun, replayer };
    if (path === undefined) await replayDeadLetters({ ...parts, database });
    else {
      const given = await readGivenFields(database.connections, definition);
      await replayFilesAt(path, { ...parts, definition, given });
    }
    if (options.json) output.line(JSON.stringify(report, null, 2));
    else for (const line of report.lines(isDryRun)) output.line(line);
    return report.isIncomplete ? 1 : 0;
  } finally {
    await database.close();
  }
}

async function replayFilesAt(path: string, parts: ReplayFilesParts): Promise<void> {
  const { paths, others } = await findSetAsideFiles(path, parts.definition.name);
  await replayFiles(paths, parts);
  if (others.length === 0) return;
  parts.output.warn(
    `${others.length} files of other ledgers stay: replay them with their -d <module>`,
  );
}

/** For a ledger with the application's own sink: its entries should be recorded again. */
async function printEntries(
  path: string | undefined,
  definition: LedgerTable,
  output: CommandOutput,
): Promise<number> {
  if (path === undefined) throw new CommandError('--print needs a file or folder');
  const { paths } = await findSetAsideFiles(path, definition.name);
  let code = 0;
  for (const each of paths.filter((found) => isSegment(found))) {
    for await (const read of readSegmentFile(each, definition)) {
      if (read.kind === 'entry') {
        output.line(JSON.stringify(read.entry.entry));
        continue;
      }
      if (read.kind !== 'half') code = 1;
      output.warn(`${escapeInLine(each)} ${read.why}`);
    }
  }
  return code;
}
