import type { FileHandle } from 'node:fs/promises';

/**
 * Bytes read from the file at once, at first and at most: a journal has many frames of a few
 * hundred bytes, and a small file needs no memory for more.
 */
const FIRST_BYTES = 16_384;
const MOST_BYTES = 1_048_576;

/** Reads mostly contiguous parts of a file, with few calls to the file system. @internal */
export class ReadWindow {
  readonly #handle: FileHandle;
  #bytes: Buffer = Buffer.alloc(0);
  #length = FIRST_BYTES;
  /** Start of the window in the file. */
  #at = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Forgets the read bytes, because the file may have grown. */
  forget(): void {
    this.#bytes = Buffer.alloc(0);
  }

  /**
   * At most `length` bytes, fewer at the end of the file. They do not change later.
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
