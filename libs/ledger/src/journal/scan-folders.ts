import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openSegment } from '../segments/read-segment.js';
import type { SegmentDescription, SegmentTarget } from '../segments/segment-description.js';
import {
  isJournalFile,
  parseFolderName,
  RELEASED_FILE,
  REPLAY_ALL_FILE,
  type FolderName,
} from './folder-names.js';
import { readOwner, type FolderOwner } from './folder-owner.js';

/** A run's folder, as it was found. @internal */
export interface FoundFolder extends FolderName {
  readonly name: string;
  readonly path: string;
  readonly owner: FolderOwner | undefined;
  readonly isReleased: boolean;
  /** Every row is to be replayed, settled or not. */
  readonly isReplayedWhole: boolean;
  /** Segments, oldest first. */
  readonly files: readonly FoundFile[];
  /** Changes whenever the owner writes or gives a sign of life. */
  readonly print: string;
}

/** @internal */
export interface FoundFile {
  readonly name: string;
  readonly bytes: number;
  /** Permission bits. */
  readonly mode: number;
  /** Milliseconds since 1970 when the last frame came. */
  readonly changedAt: number;
}

/**
 * The folders of a ledger's runs, by their names. A folder that goes meanwhile is left out.
 *
 * @param dir of the ledger: `<journalDir>/<ledger>`
 * @param wants which of them to look into, by their names; default: all
 * @throws the file system's error; not if there is no such folder
 * @internal
 */
export async function scanFolders(
  dir: string,
  wants: (name: string, parsed: FolderName) => boolean = () => true,
): Promise<FoundFolder[]> {
  const names = await readdir(dir).catch((error: unknown) => noneIfGone(error, []));
  const found = await Promise.all(
    names.sort().map(async (name) => {
      const parsed = parseFolderName(name);
      if (parsed === undefined || !wants(name, parsed)) return undefined;
      return lookInto(join(dir, name), name, parsed);
    }),
  );
  return found.filter((each) => each !== undefined);
}

async function lookInto(
  path: string,
  name: string,
  parsed: FolderName,
): Promise<FoundFolder | undefined> {
  try {
    const names = (await readdir(path)).sort();
    const stats = await Promise.all(names.map((each) => stat(join(path, each))));
    const files = names.flatMap((each, index) => {
      const { size, mode, mtimeMs } = stats[index]!;
      const file = { name: each, bytes: size, mode: mode & 0o777, changedAt: mtimeMs };
      return isJournalFile(each) ? [file] : [];
    });
    return {
      ...parsed,
      name,
      path,
      owner: await readOwner(path),
      isReleased: names.includes(RELEASED_FILE),
      isReplayedWhole: names.includes(REPLAY_ALL_FILE),
      files,
      print: names.map((each, index) => printOf(each, stats[index]!)).join('|'),
    };
  } catch (error) {
    return noneIfGone(error, undefined);
  }
}

function printOf(name: string, { size, mtimeMs }: { size: number; mtimeMs: number }): string {
  return `${name}:${size}:${mtimeMs}`;
}

/**
 * Where the rows of a folder were for, as its owner's record or the latest segments say.
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
