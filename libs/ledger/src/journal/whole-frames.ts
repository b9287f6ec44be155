import { crc32 } from 'node:zlib';
import { rowEndsOf } from '../segments/row-frame.js';
import {
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  FRAME_KINDS,
  FRAME_MAGIC_BYTES,
} from '../segments/segment-format.js';
import type { JournalFile } from './journal-file.js';

/** What is read at once: no frame of the journal is longer, and the rows of a slab mostly fit. */
const WINDOW_BYTES = 2_097_152;

/** Rows of one frame, checked. @internal */
export interface RowFrame {
  readonly position: number;
  readonly rows: number;
  readonly bytes: Buffer;
  /** Where each row ends in `bytes`. */
  readonly ends: Uint32Array;
}

/**
 * Reads the frames of rows from an offset on, in the thread pool, up to what is written now. What is damaged is
 * skipped, and noted in the file.
 *
 * @param columns of a row
 * @throws the file system's error
 * @internal
 */
export function wholeFrames(
  file: JournalFile,
  from: number,
  columns: number,
): AsyncGenerator<RowFrame, void> {
  return file.reading(() => framesOf(file, from, columns));
}

async function* framesOf(
  file: JournalFile,
  from: number,
  columns: number,
): AsyncGenerator<RowFrame, void> {
  for (let offset = Math.max(from, file.start); offset < file.bytes;) {
    const window = await file.read(offset, Math.min(WINDOW_BYTES, file.bytes - offset));
    let used = 0;
    for (;;) {
      const frame = frameAt(window, used, file.seed, columns);
      if (frame === 'more') break;
      if (typeof frame !== 'string') {
        used = frame.end;
        if (frame.rows !== undefined) yield frame.rows;
        continue;
      }
      file.damage ??= frame;
      used = nextFrame(window, used + 1);
    }
    if (used === 0) {
      // The file is shorter than what was written to it, or a header claims what is not there.
      file.damage ??= 'its end is missing';
      used = nextFrame(window, 1);
    }
    if (window.length === 0) return;
    offset += used;
  }
}

type Found = { readonly end: number; readonly rows: RowFrame | undefined };

/** @returns why there is none; `more` if the window ends before it does */
function frameAt(window: Buffer, at: number, seed: number, columns: number): Found | string {
  if (at + FRAME_HEADER_BYTES > window.length) return 'more';
  const frame = decodeFrameHeader(window.subarray(at, at + FRAME_HEADER_BYTES), seed);
  if (frame === undefined) return 'there is no frame';
  const end = at + FRAME_HEADER_BYTES + frame.bytes;
  if (end > window.length) return 'more';
  const bytes = window.subarray(at + FRAME_HEADER_BYTES, end);
  if (crc32(bytes) !== frame.crc) return 'its bytes are not those that were written';
  if (frame.kind !== FRAME_KINDS.rows) return { end, rows: undefined };
  const ends = rowEndsOf(bytes, frame.rows, columns);
  if (ends === undefined) return 'it holds no whole rows';
  return { end, rows: { position: frame.position, rows: frame.rows, bytes, ends } };
}

/** Where the next frame may begin: behind the window if it has none. */
function nextFrame(window: Buffer, from: number): number {
  const found = window.indexOf(FRAME_MAGIC_BYTES, from);
  return found >= 0 ? found : Math.max(from, window.length - FRAME_MAGIC_BYTES.length + 1);
}
