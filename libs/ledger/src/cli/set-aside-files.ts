import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { CommandError } from './command.error.js';

/** Where finished files go, beside the others. */
const FINISHED_FOLDER = 'replayed';
const FILE_NAME = /\.ndjson(\.open)?$/;
const UNFINISHED = /\.open$/;

/**
 * Files of spilled entries and dead letters.
 *
 * @param path a file, or a folder that is not searched any deeper
 * @returns paths, oldest name first
 * @throws CommandError if there is nothing at `path`, or it can't be read
 * @internal
 */
export async function findSetAsideFiles(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const found = await readdir(path, { withFileTypes: true });
    return found
      .filter((each) => FILE_NAME.test(each.name) && !each.isDirectory())
      .map(({ name }) => join(path, name))
      .sort();
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    throw new CommandError(
      code === 'ENOENT' ? `there is no file or folder ${path}` : `${path} can't be read: ${code}`,
    );
  }
}

/** The code of an error of the file system; undefined of any other. @internal */
export function fileErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error
    ? (error as NodeJS.ErrnoException).code
    : undefined;
}

/** Whether the file's writer is at work still, or was killed at it. @internal */
export function isUnfinished(path: string): boolean {
  return UNFINISHED.test(path);
}

/**
 * Whether the file's writer may still be at work: it is unfinished, and its process is alive. That
 * of another host counts as alive, since nobody can tell from here.
 *
 * @internal
 */
export function isBeingWritten(path: string): boolean {
  if (!isUnfinished(path)) return false;
  const name = basename(path);
  const host = hostname().replaceAll(/[^A-Za-z0-9_.]+/g, '-');
  const start = name.indexOf(`-${host}-`);
  if (start < 0) return true;
  const pid = Number.parseInt(name.slice(start + host.length + 2), 10);
  return isAlive(pid);
}

function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
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
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const target = join(folder, basename(path).replace(UNFINISHED, ''));
  await rename(path, target);
  return target;
}
