import { InvalidArgumentError, type Command } from 'commander';
import { existsSync } from 'node:fs';
import { systemClock } from '../clock/clock.js';
import { tableExtensions } from '../ledger.extensions.js';
import { CommandDatabase } from './command-database.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { findJournalFiles } from './journal-folders.js';
import { addLedgerOptions, type LedgerCommandOptions } from './ledger-options.js';
import { loadDefinition } from './load-definition.js';
import { checkPeriod, parseTime, TIME_RULE } from './parse-time.js';
import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { openStream } from './read-stream.js';
import { findSetAsideFiles } from './set-aside-files.js';
import { readSettingsInForce } from './settings-in-force.js';
import { readPgError } from '../postgres/read-pg-error.js';
import { verifyLedger, type StoredFault, type VerifyReport } from './verify-ledger.js';
import { verifyLines } from './verify-lines.js';

/** Twice the default of `writeTimeoutMs`: an attempt and its repetition. */
const DEFAULT_GRACE_S = 60;

/** Options of `verify`. @internal */
export interface VerifyOptions extends LedgerCommandOptions {
  readonly from?: Date;
  readonly to?: Date;
  /** Files or folders of spilled entries and dead letters. */
  readonly files?: readonly string[];
  readonly journalDir?: string;
  /** Address of the stream between gateways and writers. */
  readonly stream?: string;
  /** Seconds. */
  readonly grace: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ nestjs-ledger verify --database-url postgres://localhost/app
  $ nestjs-ledger verify --from 2026-01-01 --to 2026-02-01 --files /var/lib/app/spill
  $ nestjs-ledger verify --stream nats://n1:4222,n2:4222 --journal-dir /var/lib/app/journal
  $ nestjs-ledger verify --json

Exit code: 0, 1 if something is missing or differs, 2 if the command failed.`;

/** Adds `nestjs-ledger verify`. @param finish called with the exit code @internal */
export function addVerifyCommand(
  program: Command,
  output: CommandOutput,
  finish: (code: number) => void,
): void {
  const command = program
    .command('verify')
    .description('prove from the uuids that no entry is missing')
    .option('--from <time>', `entries created at this time or later: ${TIME_RULE}`, parseTime)
    .option('--to <time>', `entries created before this time: ${TIME_RULE}`, parseTime)
    .option(
      '--files <path...>',
      'spilled entries and dead letters (default: the spillDir of the settings, if it exists)',
    )
    .option('--journal-dir <folder>', 'journalDir of the application (default: its setting)')
    .option(
      '--stream <url>',
      'stream whose waiting messages count as well, as nats://host:4222 or kafka://host:9092',
    )
    .option(
      '--grace <seconds>',
      'ignore gaps next to entries younger than this, which may be in flight',
      parseSeconds,
      DEFAULT_GRACE_S,
    )
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXAMPLES);
  addLedgerOptions(command).action(async (options: VerifyOptions) => {
    const report = await verify(options, output);
    if (options.json) output.line(JSON.stringify(report, null, 2));
    else for (const line of verifyLines(report, options.grace * 1000)) output.line(line);
    const isWrong = report.faults.length > 0 || report.runs.some(({ missing }) => missing > 0);
    finish(isWrong ? 1 : 0);
  });
}

/**
 * Looks for missing entries.
 *
 * @throws CommandError if the database or a file can't be read, or nothing can be in the period
 * @internal
 */
export async function verify(options: VerifyOptions, output: CommandOutput): Promise<VerifyReport> {
  const startedAt = systemClock.now();
  const { from, to, grace } = options;
  checkPeriod(from, to);
  const definition = await loadDefinition(options);
  const { spillDir } = readSettingsInForce(definition.name);
  const folders = options.files ?? (existsSync(spillDir) ? [spillDir] : []);
  const { name } = definition;
  const found = await Promise.all(folders.map((each) => findSetAsideFiles(each, name)));
  const journaled = await journalFiles(options, name);
  const files = [...journaled, ...found.flatMap(({ paths }) => paths)];
  const database = await CommandDatabase.open(definition, options);
  let stream: LedgerStream | undefined;
  try {
    if (options.stream !== undefined) stream = await openStream(options.stream, definition);
    const scope = { from, to, graceMs: grace * 1000, startedAt, files, stream };
    const report = await verifyLedger(database, scope, output);
    return { ...report, faults: await findStoredFaults(database) };
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`can't verify: ${readPgError(error).text}`);
  } finally {
    await stream?.close();
    await database.close();
  }
}

/** Rows in the journal are not missing. @throws CommandError if it can't be read */
async function journalFiles({ journalDir }: VerifyOptions, ledger: string): Promise<string[]> {
  const dir = journalDir ?? readSettingsInForce(ledger).journalDir;
  if (dir === undefined || (journalDir === undefined && !existsSync(dir))) return [];
  return findJournalFiles(dir, ledger);
}

async function findStoredFaults(database: CommandDatabase): Promise<StoredFault[]> {
  const faults = await database.verify({ extensions: tableExtensions });
  return faults
    .filter(({ object }) => object !== undefined)
    .map(({ subject, problem, remedy }) => ({ name: subject, problem, remedy }));
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds >= 0 && seconds <= 31_536_000)) {
    throw new InvalidArgumentError('must be seconds, 0 to 31536000');
  }
  return seconds;
}
