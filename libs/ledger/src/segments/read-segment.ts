import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { openRegularFile } from '../files/open-regular-file.js';
import { isRowFrame } from './row-frame.js';
import { parseDescription, type SegmentDescription } from './segment-description.js';
import {
  decodeFrameHeader,
  decodePreamble,
  FRAME_HEADER_BYTES,
  FRAME_KINDS,
  PREAMBLE_BYTES,
  type FrameHeader,
} from './segment-format.js';

/** What is looked at at once to find out whether the rest of a file is empty. */
const BLOCK_BYTES = 262_144;

/**
 * What a segment has, in its order. `torn`: its writer was stopped in the midst of its last frame,
 * which nobody was told to be safe. `corrupt`: the bytes from `at` on are not what was written.
 *
 * @internal
 */
export type SegmentPart =
  | {
      readonly kind: 'rows';
      readonly position: number;
      readonly rows: number;
      readonly bytes: Buffer;
    }
  | { readonly kind: 'torn' | 'corrupt'; readonly at: number; readonly why: string };

/** A segment that is open for reading; `description` is a text where it can't be read: why. */
export interface OpenSegment {
  readonly description: SegmentDescription | string;
  /** Its frames of rows, each whole; ends with the first part that is none. Reads at most 16 MiB at once. */
  parts(): AsyncGenerator<SegmentPart, void>;
  close(): Promise<void>;
}

/**
 * Opens a segment. Whatever its bytes are, nothing is thrown for their sake.
 *
 * @throws the file system's error
 * @internal
 */
export async function openSegment(path: string): Promise<OpenSegment> {
  const handle = await openRegularFile(path);
  try {
    return await readHeader(handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function readHeader(handle: FileHandle): Promise<OpenSegment> {
  const preamble = decodePreamble(await readAt(handle, 0, PREAMBLE_BYTES));
  if (typeof preamble === 'string') return unreadable(handle, preamble);
  const bytes = await readAt(handle, PREAMBLE_BYTES, preamble.length);
  const isWhole = bytes.length === preamble.length && crc32(bytes) === preamble.crc;
  const description = isWhole ? parseDescription(bytes) : undefined;
  if (description === undefined) return unreadable(handle, 'its header is damaged');
  const start = PREAMBLE_BYTES + preamble.length;
  const reader = new FrameReader(handle, preamble.crc, description.columns.length);
  return {
    description,
    parts: () => reader.parts(start),
    close: () => handle.close(),
  };
}

function unreadable(handle: FileHandle, why: string): OpenSegment {
  async function* none(): AsyncGenerator<SegmentPart, void> {}
  return { description: why, parts: none, close: () => handle.close() };
}

class FrameReader {
  readonly #handle: FileHandle;
  readonly #seed: number;
  readonly #columns: number;

  constructor(handle: FileHandle, seed: number, columns: number) {
    this.#handle = handle;
    this.#seed = seed;
    this.#columns = columns;
  }

  async *parts(start: number): AsyncGenerator<SegmentPart, void> {
    for (let at = start; ;) {
      const head = await readAt(this.#handle, at, FRAME_HEADER_BYTES);
      if (head.length === 0) return;
      if (head.length < FRAME_HEADER_BYTES) {
        yield torn(at);
        return;
      }
      const frame = decodeFrameHeader(head, this.#seed);
      if (frame === undefined) {
        yield await this.#noFrame(at);
        return;
      }
      const bytes = await readAt(this.#handle, at + FRAME_HEADER_BYTES, frame.bytes);
      if (bytes.length < frame.bytes) {
        yield torn(at);
        return;
      }
      const part = this.#check(frame, bytes, at);
      if (part !== undefined) yield part;
      if (part?.kind === 'corrupt') return;
      at += FRAME_HEADER_BYTES + frame.bytes;
    }
  }

  /** @returns undefined for a frame that holds no rows */
  #check(frame: FrameHeader, bytes: Buffer, at: number): SegmentPart | undefined {
    if (crc32(bytes) !== frame.crc) return corrupt(at, 'its bytes are not those that were written');
    if (frame.kind !== FRAME_KINDS.rows) return undefined;
    if (!isRowFrame(bytes, frame.rows, this.#columns)) return corrupt(at, 'it holds no whole rows');
    return { kind: 'rows', position: frame.position, rows: frame.rows, bytes };
  }

  /** After a loss of power the file may be longer than what was written into it: zeros, to its end. */
  async #noFrame(at: number): Promise<SegmentPart> {
    for (let offset = at; ; offset += BLOCK_BYTES) {
      const block = await readAt(this.#handle, offset, BLOCK_BYTES);
      if (block.length === 0) return torn(at);
      if (block.some((byte) => byte !== 0)) return corrupt(at, 'there is no frame');
    }
  }
}

function torn(at: number): SegmentPart {
  return { kind: 'torn', at, why: 'its last frame is cut off' };
}

function corrupt(at: number, why: string): SegmentPart {
  return { kind: 'corrupt', at, why };
}

/** At most so many bytes: fewer at the end of the file. */
async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
