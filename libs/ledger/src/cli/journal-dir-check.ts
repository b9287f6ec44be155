import { lstat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { probeJournalFolder } from '../journal/probe-folder.js';
import type { SegmentTarget } from '../segments/segment-description.js';
import { fault, ok, warning, type Diagnosis } from './health-checks.js';
import {
  describeSegmentTarget,
  isForAnother,
  viewFolders,
  type JournalFolderView,
} from './journal-folders.js';
import { escapeInLine } from './escape-controls.js';
import { leaveNoFolders } from './leave-no-folders.js';

/** Permission bits that let other users read or write. */
const OTHERS = 0o077;
const MEBIBYTE = 1_048_576;

/** The journal to check, and its table. @internal */
export interface JournalDirToCheck {
  readonly journalDir: string;
  /** Name of the ledger. */
  readonly ledger: string;
  /** The command that lists folders. */
  readonly list: string;
  /** The command that writes the entries of a folder. */
  readonly replay: string;
  /** Of this database; undefined if it is unknown. */
  readonly own: SegmentTarget | undefined;
}

/**
 * Checks whether the ledger can write its journal and only its owner can read it, and lists waiting
 * files: those that a start will write, and those that no start will. Leaves the disk unchanged.
 *
 * @internal
 */
export async function checkJournalDir(checked: JournalDirToCheck): Promise<Diagnosis[]> {
  const { ledger } = checked;
  const journalDir = resolve(checked.journalDir);
  return leaveNoFolders(join(journalDir, ledger), async () => {
    const probed = await probeJournalFolder({ journalDir, ledger, syncs: false });
    if (probed.fault !== undefined) {
      const { reason, isLasting } = probed.fault;
      const fate = isLasting ? 'no ledger starts' : 'entries would be in memory only';
      const text = `${escapeInLine(journalDir)} can't be used (${reason}): ${fate}`;
      return [fault('journal', text, `make it writable, or set LEDGER_ASYNC_JOURNAL_DIR`)];
    }
    const views = await viewFolders(journalDir, ledger);
    const found = [
      ...(probed.risk === undefined
        ? []
        : [warning('journal', probed.risk, `look at it with ls -ld ${journalDir}`)]),
      ...(await openModes(join(journalDir, ledger), views)),
      ...damagedFiles(checked, views),
      ...waiting(checked, views),
    ];
    const atWork = views.filter(({ state }) => state === 'in use').length;
    const text = `${journalDir} accepts and syncs files, ${runsText(atWork)} in progress`;
    return found.length > 0 ? found : [ok('journal', text)];
  });
}

function damagedFiles(
  { list }: JournalDirToCheck,
  views: readonly JournalFolderView[],
): Diagnosis[] {
  return views
    .filter(({ damaged }) => damaged.length > 0)
    .map(({ folder, damaged }) => {
      const text = `${escapeInLine(folder.path)} has ${damaged.length} damaged files`;
      return warning('journal', text, `run \`${list}\``);
    });
}

/** Folders that a start of this ledger writes, and one line for each that none does. */
function waiting(
  { own, list, replay }: JournalDirToCheck,
  views: readonly JournalFolderView[],
): Diagnosis[] {
  const withFiles = views.filter(({ folder }) => folder.files.length > 0);
  const isForeign = ({ target }: JournalFolderView): boolean =>
    own !== undefined && target !== undefined && isForAnother(target, own);
  const foreign = withFiles.filter(isForeign).map(({ folder, target, bytes }) => {
    const text =
      `${escapeInLine(folder.path)} has ${sizeText(bytes)} of entries for ${describeSegmentTarget(target)}: ` +
      'no start of this ledger writes them';
    return warning('journal', text, `run \`${replay}\` on that database, or remove the folder`);
  });
  const left = withFiles.filter(
    (view) => !isForeign(view) && ['ended', 'released'].includes(view.state),
  );
  if (left.length === 0) return foreign;
  const bytes = left.reduce((sum, view) => sum + view.bytes, 0);
  const text =
    `${runsText(left.length)} that ended left ${sizeText(bytes)}, as ${escapeInLine(left[0]!.folder.path)}: ` +
    'the next start of the ledger on this machine writes it';
  return [...foreign, warning('journal', text, `run \`${list}\``)];
}

const runsText = (count: number): string => `${count} ${count === 1 ? 'run' : 'runs'}`;
const sizeText = (bytes: number): string => `${(bytes / MEBIBYTE).toFixed(1)} MiB`;

/** Segments hold whole entries. */
async function openModes(
  folder: string,
  views: readonly JournalFolderView[],
): Promise<Diagnosis[]> {
  const folders = [folder, ...views.map((view) => view.folder.path)];
  const modes = await Promise.all(
    folders.map((path) =>
      lstat(path).then(
        ({ mode }) => mode,
        () => 0,
      ),
    ),
  );
  const open = folders.filter((_, index) => (modes[index]! & OTHERS) !== 0);
  const files = views.flatMap(({ folder: { path, files: all } }) =>
    all.filter(({ mode }) => (mode & OTHERS) !== 0).map(({ name }) => join(path, name)),
  );
  const all = [...open, ...files];
  if (all.length === 0) return [];
  const text = `others can read ${all.length} files or folders of the journal, as ${all[0]}`;
  return [warning('journal', text, `chmod -R go= ${folder}`)];
}
