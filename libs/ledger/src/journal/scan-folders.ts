import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openSegment } from '../segments/read-segment.js';
import type { SegmentDescription, SegmentTarget } from '../segments/segment-description.js';
import {
  byAge,
  isJournalFile,
  OWNER_FILE,
  parseFolderName,
  RELEASED_FILE,
  REPLAY_ALL_FILE,
  type FolderName,
} from './folder-names.js';
import { readOwner, type FolderOwner } from './folder-owner.js';

/** A run's folder, as found on disk. @internal */
export interface FoundFolder extends FolderName {
  readonly name: string;
  readonly path: string;
  readonly owner: FolderOwner | undefined;
  readonly isReleased: boolean;
  /** Whether every row must be replayed, settled or not. */
  readonly isReplayedWhole: boolean;
  /** Segments, oldest first. */
  readonly files: readonly FoundFile[];
  /** States of all its files, by name. */
  readonly states: ReadonlyMap<string, FileState>;
  /** Changes whenever the owner writes or gives a sign of life. */
  readonly print: string;
}

interface FileState extends FoundFile {
  /** Inode number: it changes if another file is renamed to the name. */
  readonly ino: number;
}

/** @internal */
export interface FoundFile {
  readonly name: string;
  readonly bytes: number;
  /** Permission bits. */
  readonly mode: number;
  /** Milliseconds since 1970 of the last frame. */
  readonly changedAt: number;
}

/**
 * The folders of a ledger's runs, by name. A folder that disappears meanwhile is left out.
 *
 * @param dir of the ledger: `<journalDir>/<ledger>`
 * @throws the file system's error, except if there is no such folder
 * @internal
 */
export async function scanFolders(dir: string): Promise<FoundFolder[]> {
  const names = await folderNames(dir);
  const found = await Promise.all(names.map(({ name }) => lookIntoFolder(dir, name)));
  return found.filter((each) => each !== undefined);
}

/** Sorted names of the folders of a ledger's runs. @throws like `scanFolders` @internal */
export async function folderNames(dir: string): Promise<(FolderName & { name: string })[]> {
  const names = await readdir(dir).catch((error: unknown) => noneIfGone(error, []));
  return names.sort().flatMap((name) => {
    const parsed = parseFolderName(name);
    return parsed === undefined ? [] : [{ name, ...parsed }];
  });
}

/**
 * Looks into one folder. An earlier result saves calls: only the last segment changes, and the
 * owner's record is read again only if its file was replaced.
 *
 * @returns undefined if there is none
 * @throws the file system's error
 * @internal
 */
export async function lookIntoFolder(
  dir: string,
  name: string,
  known?: FoundFolder,
): Promise<FoundFolder | undefined> {
  const parsed = parseFolderName(name);
  if (parsed === undefined) return undefined;
  const path = join(dir, name);
  try {
    const names = (await readdir(path)).sort(byAge);
    const last = names.findLast(isJournalFile);
    const states = await Promise.all(
      names.map(async (each): Promise<FileState> => {
        const before = each === last ? undefined : known?.states.get(each);
        if (before !== undefined && isJournalFile(each)) return before;
        const { size, mode, mtimeMs, ino } = await stat(join(path, each));
        return { name: each, bytes: size, mode: mode & 0o777, changedAt: mtimeMs, ino };
      }),
    );
    const byName = new Map(states.map((state) => [state.name, state]));
    const record = byName.get(OWNER_FILE)?.ino;
    const isSameOwner = record !== undefined && record === known?.states.get(OWNER_FILE)?.ino;
    return {
      ...parsed,
      name,
      path,
      owner: isSameOwner ? known?.owner : await readOwner(path),
      isReleased: names.includes(RELEASED_FILE),
      isReplayedWhole: names.includes(REPLAY_ALL_FILE),
      files: states.filter((state) => isJournalFile(state.name)),
      states: byName,
      print: states.map(printOf).join('|'),
    };
  } catch (error) {
    return noneIfGone(error, undefined);
  }
}

function printOf({ name, bytes, changedAt }: FileState): string {
  return `${name}:${bytes}:${changedAt}`;
}

/**
 * Target of a folder's rows, according to its owner's record or the latest segments.
 *
 * @throws the file system's error
 * @internal
 */
export async function targetOfFolder(folder: FoundFolder): Promise<SegmentTarget | undefined> {
  let known = folder.owner?.target;
  if (known?.id !== undefined) return known;
  for (const { name } of folder.files.toReversed()) {
    const target = (await readDescription(join(folder.path, name)))?.target;
    if (target?.id !== undefined) return target;
    known ??= target;
  }
  return known;
}

/** @returns undefined if it can't be read @internal */
export async function readDescription(path: string): Promise<SegmentDescription | undefined> {
  try {
    const segment = await openSegment(path);
    await segment.close();
    return typeof segment.description === 'string' ? undefined : segment.description;
  } catch (error) {
    return noneIfGone(error, undefined);
  }
}

/** @throws other errors */
function noneIfGone<T>(error: unknown, none: T): T {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return none;
  throw error;
}
