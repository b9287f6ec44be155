import { constants, existsSync } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDamagedFile } from '../journal/folder-names.js';
import { isOwnerGone } from '../journal/folder-watch.js';
import { isSameTarget } from '../journal/same-target.js';
import { ownIdentity } from '../journal/process-identity.js';
import { scanFolders, targetOfFolder, type FoundFolder } from '../journal/scan-folders.js';
import type { SegmentTarget } from '../segments/segment-description.js';
import { CommandError } from './command.error.js';
import { escapeInLine } from './escape-controls.js';
import { fileErrorCode } from './set-aside-files.js';

/**
 * State of a folder's owner. `unknown`: it ran on another machine or in another container, and only
 * time shows whether it is alive.
 *
 * @internal
 */
export type FolderState = 'in use' | 'released' | 'ended' | 'unknown';

/** A run's folder, for the output of commands. @internal */
export interface JournalFolderView {
  readonly folder: FoundFolder;
  readonly state: FolderState;
  /** Undefined: the folder does not say. */
  readonly target: SegmentTarget | undefined;
  readonly bytes: number;
  /** Names of files that were set aside. */
  readonly damaged: readonly string[];
  /**
   * Code of the error by which the file system would refuse its removal; undefined: it would not.
   */
  readonly stuck: string | undefined;
}

/**
 * The folders of a ledger's runs.
 *
 * @throws CommandError if the directory can't be read
 * @internal
 */
export async function viewFolders(
  journalDir: string,
  ledger: string,
): Promise<JournalFolderView[]> {
  if (!existsSync(journalDir)) {
    throw new CommandError(`there is no folder ${escapeInLine(journalDir)}`);
  }
  try {
    const folders = await scanFolders(join(journalDir, ledger));
    return await Promise.all(folders.map((folder) => view(folder)));
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    throw new CommandError(`${escapeInLine(journalDir)} can't be read: ${code}`);
  }
}

async function view(folder: FoundFolder): Promise<JournalFolderView> {
  const names = await readdir(folder.path).catch(() => []);
  return {
    folder,
    state: await stateOf(folder),
    target: await targetOfFolder(folder),
    bytes: folder.files.reduce((sum, { bytes }) => sum + bytes, 0),
    damaged: names.filter(isDamagedFile),
    stuck: await stuckCode(folder),
  };
}

/** A read-only file system and an immutable file are found by a check of write access. */
async function stuckCode({ path, files }: FoundFolder): Promise<string | undefined> {
  for (const each of [path, ...files.map(({ name }) => join(path, name))]) {
    try {
      await access(each, constants.W_OK);
    } catch (error) {
      const code = fileErrorCode(error);
      if (code !== 'ENOENT') return code;
    }
  }
  return undefined;
}

async function stateOf(folder: FoundFolder): Promise<FolderState> {
  if (folder.isReleased) return 'released';
  if (await isOwnerGone(folder)) return 'ended';
  return folder.owner !== undefined && isOfThisMachine(folder) ? 'in use' : 'unknown';
}

/**
 * Whether rows are for another table, or the same table of another database. A target without an id
 * is compared by table only: its address is unknown here, but known to the person who named this
 * database.
 *
 * @internal
 */
export function isForAnother(target: SegmentTarget, own: SegmentTarget): boolean {
  if (target.id === undefined && target.table === own.table) return false;
  return !isSameTarget(target, own);
}

/** Paths of the segments of all runs. @throws CommandError @internal */
export async function findJournalFiles(journalDir: string, ledger: string): Promise<string[]> {
  const views = await viewFolders(journalDir, ledger);
  return views.flatMap(({ folder }) => folder.files.map(({ name }) => join(folder.path, name)));
}

function isOfThisMachine({ owner }: FoundFolder): boolean {
  const own = ownIdentity();
  const author = owner?.author;
  return author?.bootId === own.bootId && author?.pidNamespace === own.pidNamespace;
}

/** `app.public.usage_entries (id 01890a5d)`. @internal */
export function describeSegmentTarget(target: SegmentTarget | undefined): string {
  if (target === undefined) return 'unknown table';
  const { database, schema, table, id } = target;
  const place = [database, schema, table].filter((part) => part !== undefined).join('.');
  return escapeInLine(id === undefined ? `${place} (id not known)` : `${place} (id ${id})`);
}
