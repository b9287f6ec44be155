import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

/** Neither a link nor a pipe of somebody's in the folder is read. Windows knows no such flags. */
const READ_ONLY = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Opens a file for reading. A symbolic link is not followed (`ELOOP`), and what is no file, such as a
 * pipe, which would keep the reader waiting, is refused (`ENOTFILE`).
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
