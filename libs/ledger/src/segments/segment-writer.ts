import { closeSync, ftruncateSync, unlinkSync, writevSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { createFileSync } from '../files/create-file.js';
import type { SpilledRows } from '../ports/spill-store.interface.js';
import { encodeFileHeader, encodeFrameHeader, FRAME_KINDS } from './segment-format.js';
import type { SegmentDescription } from './segment-description.js';

/**
 * Writes one segment, at once: when a call returns, the bytes are the file system's and survive the
 * process. A write that fails leaves the file as it was before,
 * or at least not `isWhole`.
 *
 * @internal
 */
export class SegmentWriter {
  /** Of the file: header and whole frames. */
  bytes = 0;
  /** False once half a frame stands at the end, and could not be cut off. */
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
   * @returns undefined if the name is taken
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

  /** Appends a frame of at most 16 MiB. @throws the file system's error; the frame is not there then */
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

/** The file system may take a part only, as where the disk is nearly full. */
function writeAll(descriptor: number, parts: readonly Uint8Array[]): number {
  let rest = parts.filter((part) => part.length > 0);
  let all = 0;
  while (rest.length > 0) {
    const written = writevSync(descriptor, rest);
    all += written;
    rest = behind(rest, written);
  }
  return all;
}

function behind(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  const rest: Uint8Array[] = [];
  for (const part of parts) {
    if (left < part.length) rest.push(left === 0 ? part : part.subarray(left));
    left = Math.max(0, left - part.length);
  }
  return rest;
}
