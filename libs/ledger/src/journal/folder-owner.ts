import { readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createFile } from '../files/create-file.js';
import type { SegmentTarget } from '../segments/segment-description.js';
import { OWNER_FILE } from './folder-names.js';
import type { ProcessIdentity } from './process-identity.js';

/** The owner of a run's folder: the process that writes into it, or its adopter. @internal */
export interface FolderOwner {
  readonly ledger: string;
  /** The owner's run, eight hex digits. */
  readonly run: string;
  readonly target: SegmentTarget;
  readonly author: ProcessIdentity;
}

/** @returns undefined if the record is missing or unreadable @internal */
export async function readOwner(folder: string): Promise<FolderOwner | undefined> {
  try {
    const found = JSON.parse(
      await readFile(join(folder, OWNER_FILE), 'utf8'),
    ) as FolderOwner | null;
    const { ledger, run, target, author } = found ?? {};
    const isOwner =
      [ledger, run, target?.table, author?.host].every((each) => typeof each === 'string') &&
      Number.isInteger(author?.pid);
    return isOwner ? found! : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Writes the owner's record into a folder atomically. It replaces the remains of a failed attempt
 * of the same run, for example on a full disk.
 *
 * @throws the file system's error; the previous record then stays
 * @internal
 */
export async function writeOwner(folder: string, owner: FolderOwner): Promise<void> {
  const path = join(folder, OWNER_FILE);
  const ownPath = `${path}.${owner.run}`;
  await unlink(ownPath).catch(() => undefined);
  const file = await createFile(ownPath);
  if (file === undefined) throw new Error(`${ownPath} is there already`);
  try {
    await file.writeFile(JSON.stringify(owner)).finally(() => file.close());
    await rename(ownPath, path);
  } catch (error) {
    await unlink(ownPath).catch(() => undefined);
    throw error;
  }
}
