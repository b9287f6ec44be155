import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { openRegularFile } from '../files/open-regular-file.js';
import { readFrames, type ReadingOptions, type SegmentPart } from './read-frames.js';
import { ReadWindow } from './read-window.js';
import { parseDescription, type SegmentDescription } from './segment-description.js';
import { decodePreamble, isCutOffPreamble, PREAMBLE_BYTES } from './segment-format.js';

export type { SegmentPart } from './read-frames.js';

/** A segment opened for reading; if it can't be read, `description` is a text with the reason. */
export interface OpenSegment {
  readonly description: SegmentDescription | string;
  /** The file ends within its header: its writer stopped there. */
  readonly isCutOff: boolean;
  /**
   * Its frames, each whole, in order. Reads at most 16 MiB at once. May be called again, for
   * example for frames added since.
   */
  parts(options?: ReadingOptions): AsyncGenerator<SegmentPart, void>;
  /** Present bytes of the file. */
  size(): Promise<number>;
  close(): Promise<void>;
}

/**
 * Opens a segment. No content of the file makes it throw.
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
  const window = new ReadWindow(handle);
  const size = async (): Promise<number> => (await handle.stat()).size;
  const close = (): Promise<void> => handle.close();
  const unreadable = (why: string, isCutOff: boolean): OpenSegment => {
    async function* none(): AsyncGenerator<SegmentPart, void> {}
    return { description: why, isCutOff, parts: none, size, close };
  };
  const head = await window.read(0, PREAMBLE_BYTES);
  const preamble = decodePreamble(head);
  if (typeof preamble === 'string') return unreadable(preamble, isCutOffPreamble(head));
  const { length, crc: seed } = preamble;
  const bytes = await window.read(PREAMBLE_BYTES, length);
  const isWhole = bytes.length === length && crc32(bytes) === seed;
  const description = isWhole ? parseDescription(bytes) : undefined;
  if (description === undefined) {
    return unreadable('its header is damaged', bytes.length < length);
  }
  const reading = { window, seed, columns: description.columns.length };
  const first = PREAMBLE_BYTES + length;
  return {
    description,
    isCutOff: false,
    parts: ({ from = first, goesOn = false } = {}) => {
      window.forget();
      return readFrames(reading, from, goesOn);
    },
    size,
    close,
  };
}
