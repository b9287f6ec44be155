import { closeSync, ftruncateSync, unlinkSync, writevSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { createFileSync } from '../files/create-file.js';
import type { SpilledRows } from '../ports/spill-store.interface.js';
import { encodeFileHeader, encodeFrameHeader, FRAME_KINDS } from './segment-format.js';
import type { SegmentDescription } from './segment-description.js';
import { unwrittenParts } from './unwritten-parts.js';

/**
 * Writes one segment synchronously: when a call returns, the file system has the bytes, which
 * survive the process. A failed write leaves the file unchanged, or at least not `isWhole`.
 *
 * @internal
 */
export class SegmentWriter {
  /** Bytes of the file: header and whole frames. */
  bytes = 0;
  /** False if the file ends with half a frame that could not be cut off. */
  isWhole = true;
  readonly #descriptor: number;
  readonly #seed: number;

  private constructor(descriptor: number, seed: number) {
    this.#descriptor = descriptor;
    this.#seed = seed;
  }

  /**
   * Creates a file with its header.
   *
   * @returns undefined if the name exists
   * @throws the file system's error; there is no file then
   */
  static create(path: string, description: SegmentDescription): SegmentWriter | undefined {
    const descriptor = createFileSync(path);
    if (descriptor === undefined) return undefined;
    const { bytes, seed } = encodeFileHeader(JSON.stringify(description));
    const writer = new SegmentWriter(descriptor, seed);
    try {
      writer.#write([bytes]);
      return writer;
    } catch (error) {
      writer.close();
      unlinkSync(path);
      throw error;
    }
  }

  /**
   * Appends a frame of at most 16 MiB. @throws the file system's error; the frame is not written
   * then
   */
  append({ slices, count, position }: SpilledRows): void {
    let crc = 0;
    let bytes = 0;
    for (const slice of slices) {
      crc = crc32(slice, crc);
      bytes += slice.length;
    }
    const frame = { kind: FRAME_KINDS.rows, bytes, rows: count, crc, position };
    this.#write([encodeFrameHeader(frame, this.#seed), ...slices]);
  }

  #write(parts: readonly Uint8Array[]): void {
    const before = this.bytes;
    try {
      this.bytes += writeAll(this.#descriptor, parts);
    } catch (error) {
      this.#cutOff(before);
      throw error;
    }
  }

  #cutOff(end: number): void {
    try {
      ftruncateSync(this.#descriptor, end);
    } catch {
      this.isWhole = false;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** The file system may accept only a part, for example on a nearly full disk. */
function writeAll(descriptor: number, parts: readonly Uint8Array[]): number {
  let rest = parts.filter((part) => part.length > 0);
  let all = 0;
  while (rest.length > 0) {
    const written = writevSync(descriptor, rest);
    all += written;
    rest = unwrittenParts(rest, written);
  }
  return all;
}
