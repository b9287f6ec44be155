import type { JournalFiles } from '../ports/journal-files.interface.js';

/**
 * Writes the first `length` bytes, or all: the file system may write only a part, for example when
 * the disk is nearly full.
 *
 * @throws the file system's error
 * @internal
 */
export function writeAll(
  files: Pick<JournalFiles, 'write'>,
  descriptor: number,
  bytes: Uint8Array,
  length = bytes.length,
): void {
  let written = files.write(descriptor, bytes, length);
  while (written < length) written += files.write(descriptor, bytes.subarray(written, length));
}
