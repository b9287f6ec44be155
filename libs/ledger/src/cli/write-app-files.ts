import {
  access,
  chmod,
  constants,
  mkdir,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FileChange } from './init/app-files.interface.js';
import { CommandError } from './command.error.js';
import { fileErrorCode } from './set-aside-files.js';

const DRAFT_ENDING = '.nestjs-ledger-draft';

/**
 * Writes all files of an application that change, or none: each is written beside its place, and
 * all are put there once the disk has taken them.
 *
 * @param folder the application's
 * @throws CommandError that names the file which can't be written
 * @internal
 */
export async function writeAppFiles(folder: string, changes: readonly FileChange[]): Promise<void> {
  const drafts: string[] = [];
  const targets: string[] = [];
  let at = '';
  try {
    for (const { path, after } of changes) {
      at = path;
      const target = await placeOf(join(folder, path));
      const draft = `${target.path}${DRAFT_ENDING}`;
      drafts.push(draft);
      targets.push(target.path);
      await writeFile(draft, after, { flush: true });
      if (target.mode !== undefined) await chmod(draft, target.mode);
    }
    for (const [index, draft] of drafts.entries()) {
      at = changes[index]!.path;
      await rename(draft, targets[index]!);
    }
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    throw new CommandError(`${at} can't be written: ${code}`);
  } finally {
    for (const draft of drafts) await rm(draft, { force: true });
  }
}

/** The target of a link, and the target's mode. @throws if the target may not be written */
async function placeOf(path: string): Promise<{ path: string; mode?: number }> {
  await mkdir(dirname(path), { recursive: true });
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return { path };
  await access(path, constants.W_OK);
  return { path: await realpath(path), mode: found.mode };
}
