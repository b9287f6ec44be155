import { crc32 } from 'node:zlib';
import { rowEndsOf } from '../segments/row-frame.js';
import {
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  FRAME_KINDS,
  FRAME_MAGIC_BYTES,
} from '../segments/segment-format.js';
import type { JournalFile } from './journal-file.js';

/** Bytes of one read: no frame of the journal is longer, and the rows of a slab mostly fit. */
const WINDOW_BYTES = 2_097_152;

/** Checked rows of one frame. @internal */
export interface RowFrame {
  readonly position: number;
  readonly rows: number;
  readonly bytes: Buffer;
  /** End of each row in `bytes`. */
  readonly ends: Uint32Array;
}

/**
 * Reads the frames of rows from an offset up to the present end, in the thread pool. Damaged parts
 * are skipped and noted in the file.
 *
 * @param columns number of columns of a row
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
      // The file is shorter than its written bytes, or a header claims more bytes than exist.
      file.damage ??= 'the end of the file is missing';
      used = nextFrame(window, 1);
    }
    if (window.length === 0) return;
    offset += used;
  }
}

type Found = { readonly end: number; readonly rows: RowFrame | undefined };

/** @returns why there is no frame; `more` if the window ends before the frame does */
function frameAt(window: Buffer, at: number, seed: number, columns: number): Found | string {
  if (at + FRAME_HEADER_BYTES > window.length) return 'more';
  const frame = decodeFrameHeader(window.subarray(at, at + FRAME_HEADER_BYTES), seed);
  if (frame === undefined) return 'no frame header';
  const end = at + FRAME_HEADER_BYTES + frame.bytes;
  if (end > window.length) return 'more';
  const bytes = window.subarray(at + FRAME_HEADER_BYTES, end);
  if (crc32(bytes) !== frame.crc) return 'wrong checksum';
  if (frame.kind !== FRAME_KINDS.rows) return { end, rows: undefined };
  const ends = rowEndsOf(bytes, frame.rows, columns);
  if (ends === undefined) return 'incomplete rows';
  return { end, rows: { position: frame.position, rows: frame.rows, bytes, ends } };
}

/** Offset where the next frame may begin: after the window if it has none. */
function nextFrame(window: Buffer, from: number): number {
  const found = window.indexOf(FRAME_MAGIC_BYTES, from);
  return found >= 0 ? found : Math.max(from, window.length - FRAME_MAGIC_BYTES.length + 1);
}
