import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createFile } from './create-file.js';

/** Bytes of the file's random name, which nobody can guess and occupy first. */
const RANDOM_BYTES = 16;

/**
 * Tests that files can be created, written and synced in a folder. The file is removed again.
 *
 * @throws the file system's error; `EAGAIN` if the name exists, which may succeed a moment later
 *
 * @internal
 */
export async function tryFolder(dir: string): Promise<void> {
  const path = join(dir, `.probe-${randomBytes(RANDOM_BYTES).toString('hex')}`);
  const file = await createFile(path);
  if (file === undefined) throw Object.assign(new Error('taken'), { code: 'EAGAIN' });
  try {
    await file.writeFile('{}\n');
    await file.sync();
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}
