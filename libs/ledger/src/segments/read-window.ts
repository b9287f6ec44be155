import type { FileHandle } from 'node:fs/promises';

/**
 * What is read from the file at once, at first and in the end: a journal has many frames of a few hundred
 * bytes, and a small file needs no memory for more.
 */
const FIRST_BYTES = 16_384;
const MOST_BYTES = 1_048_576;

/**
 * Reads parts of a file that mostly follow each other, with few calls to the file system.
 *
 * @internal
 */
export class ReadWindow {
  readonly #handle: FileHandle;
  #bytes: Buffer = Buffer.alloc(0);
  #length = FIRST_BYTES;
  /** Where the window begins in the file. */
  #at = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Forgets what was read: the file may have grown since. */
  forget(): void {
    this.#bytes = Buffer.alloc(0);
  }

  /**
   * At most so many bytes: fewer at the end of the file. They stay as they are.
   *
   * @throws the file system's error
   */
  async read(position: number, length: number): Promise<Buffer> {
    const offset = position - this.#at;
    if (offset < 0 || offset + length > this.#bytes.length) {
      const bytes = await readAt(this.#handle, position, Math.max(length, this.#length));
      this.#length = Math.min(2 * this.#length, MOST_BYTES);
      this.#bytes = bytes;
      this.#at = position;
      return bytes.subarray(0, length);
    }
    return this.#bytes.subarray(offset, offset + length);
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
