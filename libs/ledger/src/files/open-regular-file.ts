import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

/** Neither another user's link nor a pipe in the folder is read. Windows lacks such flags. */
const READ_ONLY = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Opens a file for reading. A symbolic link is not followed (`ELOOP`). Other objects, such as a
 * pipe, which would block the reader, are refused (`ENOTFILE`).
 *
 * @throws the file system's error, or one like it
 * @internal
 */
export async function openRegularFile(path: string): Promise<FileHandle> {
  const handle = await open(path, READ_ONLY);
  try {
    if ((await handle.stat()).isFile()) return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  throw Object.assign(new Error('not a regular file'), { code: 'ENOTFILE', syscall: 'open' });
}
