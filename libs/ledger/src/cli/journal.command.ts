import type { Command } from 'commander';
import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatRun, newRun } from '../codec/uuid.js';
import { adoptedName } from '../journal/folder-names.js';
import { openSegment } from '../segments/read-segment.js';
import type { SegmentTarget } from '../segments/segment-description.js';
import { readGivenFields } from '../sink/read-given-fields.js';
import { readIdentity } from '../sink/read-identity.js';
import { CommandDatabase } from './command-database.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { escapeInLine } from './escape-controls.js';
import {
  describeSegmentTarget,
  isForAnother,
  viewFolders,
  type JournalFolderView,
} from './journal-folders.js';
import { addLedgerOptions, type LedgerCommandOptions } from './ledger-options.js';
import { loadDefinition } from './load-definition.js';
import { replayFiles, type ReplayFilesParts } from './replay-files.js';
import { ReplayReport } from './replay-report.js';
import { Replayer } from './replayer.js';
import { fileErrorCode } from './set-aside-files.js';
import { readSettingsInForce } from './settings-in-force.js';

const MEBIBYTE = 1_048_576;

/** Options of `journal` and its subcommands. @internal */
export interface JournalOptions extends LedgerCommandOptions {
  readonly journalDir?: string;
  readonly json?: boolean;
  readonly dryRun?: boolean;
  readonly force?: boolean;
}

const EXAMPLES = `
Examples:
  $ nestjs-ledger journal list --journal-dir /var/lib/app/journal
  $ nestjs-ledger journal verify
  $ nestjs-ledger journal replay -d dist/usage.ledger.js --dry-run

A ledger replays the journals of its earlier runs by itself. These commands are for folders that no start replays: those of another database, of a removed definition, or of a lost machine. Exit code: 0, 1 if a file is damaged or an entry is refused, 2 if the command failed.`;

/** Adds `nestjs-ledger journal list | verify | replay`. @param finish called with the exit code @internal */
export function addJournalCommand(
  program: Command,
  output: CommandOutput,
  finish: (code: number) => void,
): void {
  const journal = program
    .command('journal')
    .description('inspect the journal: accepted entries on disk that are not in the table yet')
    .addHelpText('after', EXAMPLES);
  const add = (name: string, text: string): Command =>
    addLedgerOptions(
      journal
        .command(name)
        .description(text)
        .option('--journal-dir <folder>', 'journalDir of the application (default: its setting)'),
    );
  add('list', 'list the folders of runs: owner, table and size')
    .option('--json', 'print the folders as JSON')
    .action(async (options: JournalOptions) => finish(await list(options, output)));
  add('verify', 'read every file, and report damaged ones')
    .option('--json', 'print the files as JSON')
    .action(async (options: JournalOptions) => finish(await verifyJournal(options, output)));
  add('replay', 'write the entries of runs that have ended into the table')
    .option('--dry-run', 'write nothing; show what would be written or refused')
    .option('--force', 'include folders of another database, and of owners that may be running')
    .option('--json', 'print the report as JSON')
    .action(async (options: JournalOptions) => finish(await replayJournal(options, output)));
}

interface FoldersAndLedger {
  readonly views: readonly JournalFolderView[];
  readonly definition: Awaited<ReturnType<typeof loadDefinition>>;
}

async function find(options: JournalOptions): Promise<FoldersAndLedger> {
  const definition = await loadDefinition(options);
  const dir = options.journalDir ?? readSettingsInForce(definition.name).journalDir;
  if (dir === undefined) {
    throw new CommandError(
      'no journal is set: give --journal-dir, or set LEDGER_ASYNC_JOURNAL_DIR',
    );
  }
  return { definition, views: await viewFolders(dir, definition.name) };
}

async function list(options: JournalOptions, output: CommandOutput): Promise<number> {
  const { views, definition } = await find(options);
  if (options.json === true) {
    const folders = views.map(({ folder, state, target, bytes, damaged, stuck }) => {
      const { path, run, owner, files } = folder;
      const author = owner?.author;
      return { path, run, state, target, files: files.length, bytes, damaged, stuck, author };
    });
    output.line(JSON.stringify({ folders }, null, 2));
    return 0;
  }
  if (views.length === 0) output.line(`no run of ledger ${definition.name} has a folder`);
  for (const { folder, state, target, bytes, damaged, stuck } of views) {
    const { owner, files, path } = folder;
    const author = owner === undefined ? 'unknown' : `${owner.author.host} ${owner.author.pid}`;
    output.line(
      `${escapeInLine(path)}  ${state}  ${files.length} files, ${(bytes / MEBIBYTE).toFixed(1)} MiB  ` +
        `${describeSegmentTarget(target)}  process ${escapeInLine(author)}`,
    );
    if (damaged.length > 0)
      output.line(`  set aside, damaged: ${escapeInLine(damaged.join(', '))}`);
    if (stuck !== undefined)
      output.line(
        ` can't be removed (${stuck}): each start replays it and finds its entries in the table`,
      );
  }
  return 0;
}

interface CheckedFile {
  readonly path: string;
  readonly rows: number;
  /** Of the run; undefined: the file does not say. */
  readonly settledUntil: number | undefined;
  /** Where the file ends within a frame. No caller was promised the rows of that frame. */
  readonly tornAt: number | undefined;
  readonly damage: string | undefined;
}

async function verifyJournal(options: JournalOptions, output: CommandOutput): Promise<number> {
  const { views } = await find(options);
  const files: CheckedFile[] = [];
  for (const { folder, damaged } of views) {
    for (const name of [...folder.files.map((file) => file.name), ...damaged]) {
      const checked = await check(join(folder.path, name));
      if (checked !== undefined) files.push(checked);
    }
  }
  if (options.json === true) output.line(JSON.stringify({ files }, null, 2));
  else for (const file of files) output.line(lineOf(file));
  return files.some(({ damage }) => damage !== undefined) ? 1 : 0;
}

/** @returns undefined if the owner has unlinked the file meanwhile */
async function check(path: string): Promise<CheckedFile | undefined> {
  let rows = 0;
  let settledUntil: number | undefined;
  let tornAt: number | undefined;
  try {
    const segment = await openSegment(path);
    try {
      let damage = typeof segment.description === 'string' ? segment.description : undefined;
      if (segment.isCutOff) [damage, tornAt] = [undefined, 0];
      for await (const part of segment.parts({ goesOn: true })) {
        if (part.kind === 'rows') rows += part.rows;
        else if (part.kind === 'settled') settledUntil = part.position;
        else if (part.kind === 'torn') tornAt = part.at;
        else damage ??= `byte ${part.at}: ${part.why}`;
      }
      return { path, rows, settledUntil, tornAt, damage };
    } finally {
      await segment.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CommandError(`${escapeInLine(path)} can't be read`);
  }
}

function lineOf({ path, rows, settledUntil, tornAt, damage }: CheckedFile): string {
  const settled = settledUntil === undefined ? '' : `, settled before position ${settledUntil}`;
  const torn = tornAt === undefined ? '' : `, it is cut off at byte ${tornAt}`;
  const what = damage === undefined ? 'whole' : `DAMAGED at ${damage}`;
  return `${escapeInLine(path)}  ${what}, ${rows} rows${settled}${torn}`;
}

async function replayJournal(options: JournalOptions, output: CommandOutput): Promise<number> {
  const { views, definition } = await find(options);
  const isDryRun = options.dryRun === true;
  const database = await CommandDatabase.open(definition, options);
  try {
    await database.checkColumns();
    const own = {
      table: definition.table,
      ...(await readIdentity(database.connections, definition)),
    };
    const report = new ReplayReport();
    const given = await readGivenFields(database.connections, definition);
    const replayer = new Replayer(database, isDryRun);
    for (const view of views) {
      const why = options.force === true ? undefined : refusal(view, own);
      if (why !== undefined) {
        output.warn(`${escapeInLine(view.folder.path)} stays: ${why}`);
        continue;
      }
      const paths = isDryRun ? pathsIn(view) : await takeFolder(view, { report, output });
      await replayFiles(paths, { definition, given, report, output, isDryRun, replayer });
    }
    if (options.json === true) output.line(JSON.stringify(report, null, 2));
    else for (const line of report.lines(isDryRun)) output.line(line);
    return report.isIncomplete ? 1 : 0;
  } finally {
    await database.close();
  }
}

/** Why a folder is left alone; undefined: it is replayed. */
function refusal({ state, target }: JournalFolderView, own: SegmentTarget): string | undefined {
  if (state === 'in use') return 'its process is running and writes the entries itself';
  if (state === 'unknown') return 'its process ran elsewhere and may still be running: --force';
  if (target !== undefined && !isForAnother(target, own)) return undefined;
  return `it is for ${describeSegmentTarget(target)}, and this is ${describeSegmentTarget(own)}: --force`;
}

/**
 * Adopts the folder, so that a ledger that starts meanwhile does not take it too.
 *
 * @returns the paths of its files; none if it can't be adopted, which was reported
 */
async function takeFolder(
  view: JournalFolderView,
  { report, output }: Pick<ReplayFilesParts, 'report' | 'output'>,
): Promise<string[]> {
  const { folder } = view;
  const adopted = join(dirname(folder.path), adoptedName(folder.name, formatRun(newRun())));
  try {
    await rename(folder.path, adopted);
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    const name = escapeInLine(folder.path);
    if (code === 'ENOENT') output.warn(`${name} is gone: another process has taken it`);
    else {
      report.failedFiles += folder.files.length;
      output.warn(`${name} can't be renamed: ${code}`);
    }
    return [];
  }
  return pathsIn(view, adopted);
}

function pathsIn({ folder }: JournalFolderView, path = folder.path): string[] {
  return folder.files.map(({ name }) => join(path, name));
}
