import { readdir, rename, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { finishedPath, isOfOther, isSetAside } from '../files/file-names.js';
import { prepareFolder, UnsafeFolderError } from '../files/private-folder.js';
import { CommandError } from './command.error.js';
import { escapeInLine } from './escape-controls.js';

/** Where finished files go, beside the others. */
const FINISHED_FOLDER = 'replayed';

/** Files at a path. @internal */
export interface SetAsideFiles {
  /** Oldest name first. */
  readonly paths: readonly string[];
  /** Those in the folder that are of other ledgers, by their names: they are left alone. */
  readonly others: readonly string[];
}

/**
 * Files of spilled entries and dead letters: lines, or rows as bytes.
 *
 * @param path a file, or a folder that is not searched any deeper
 * @param ledger whose files are looked for in a folder
 * @throws CommandError if there is nothing at `path`, or it can't be read
 * @internal
 */
export async function findSetAsideFiles(path: string, ledger: string): Promise<SetAsideFiles> {
  try {
    if (!(await stat(path)).isDirectory()) return { paths: [path], others: [] };
    const found = await readdir(path, { withFileTypes: true });
    const all = found
      .filter((each) => isSetAside(each.name) && !each.isDirectory())
      .map(({ name }) => join(path, name))
      .sort();
    const others = new Set(all.filter((each) => isOfOther(each, ledger)));
    return { paths: all.filter((each) => !others.has(each)), others: [...others] };
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    const name = escapeInLine(path);
    throw new CommandError(
      code === 'ENOENT' ? `there is no file or folder ${name}` : `${name} can't be read: ${code}`,
    );
  }
}

/** The code of an error of the file system; undefined of any other. @internal */
export function fileErrorCode(error: unknown): string | undefined {
  if (error instanceof UnsafeFolderError) return error.message;
  return error instanceof Error && 'syscall' in error
    ? (error as NodeJS.ErrnoException).code
    : undefined;
}

/**
 * Moves a file whose entries are all in the table out of the way.
 *
 * @returns its new path
 * @throws the file system's error; ENOENT if another process has moved it meanwhile
 * @internal
 */
export async function moveAside(path: string): Promise<string> {
  const folder = join(dirname(path), FINISHED_FOLDER);
  await prepareFolder(folder);
  const target = join(folder, basename(finishedPath(path)));
  await rename(path, target);
  return target;
}
