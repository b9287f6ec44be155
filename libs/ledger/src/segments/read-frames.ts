import { crc32 } from 'node:zlib';
import type { ReadWindow } from './read-window.js';
import { rowEndsOf } from './row-frame.js';
import {
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  FRAME_KINDS,
  FRAME_MAGIC_BYTES,
  type FrameHeader,
} from './segment-format.js';

/** Bytes read at once to find the next frame, or to check whether the rest of a file is empty. */
const BLOCK_BYTES = 262_144;

/**
 * The parts of a segment, in order. `settled`: all rows of the run before `position` are settled.
 * `torn`: its writer stopped within its last frame, whose safety was never reported. `corrupt`: the
 * bytes from `at` on differ from those written.
 *
 * @internal
 */
export type SegmentPart =
  | {
      readonly kind: 'rows';
      readonly position: number;
      readonly rows: number;
      readonly bytes: Buffer;
      /** End of each row in `bytes`. */
      readonly ends: Uint32Array;
      /** Offset in the file after the frame. */
      readonly end: number;
    }
  | {
      readonly kind: 'settled';
      readonly position: number;
      /** The frame's further content. */
      readonly bytes: Buffer;
      readonly end: number;
    }
  | { readonly kind: 'torn' | 'corrupt'; readonly at: number; readonly why: string };

/** Input for reading a file's frames. @internal */
export interface FrameReading {
  readonly window: ReadWindow;
  /** Of the file. */
  readonly seed: number;
  /** Of each row. */
  readonly columns: number;
}

/** Options for reading a file. @internal */
export interface ReadingOptions {
  /** Offset of a frame. Default: the first one. */
  readonly from?: number;
  /** Continues after damage, with the next whole frame. Default: damage is the last part. */
  readonly goesOn?: boolean;
}

/**
 * Reads frames from an offset to the end of the file, each whole. The last part is `torn` if the
 * file ends within a frame. Frames of unknown kinds are skipped.
 *
 * @throws the file system's error
 * @internal
 */
export async function* readFrames(
  reading: FrameReading,
  from: number,
  goesOn: boolean,
): AsyncGenerator<SegmentPart, void> {
  for (let at = from; ;) {
    const frame = await frameAt(reading, at);
    if (frame === undefined) return;
    if (!('end' in frame)) {
      yield frame;
      const next =
        frame.kind === 'corrupt' && goesOn ? await findFrame(reading, at + 1) : undefined;
      if (next === undefined) return;
      at = next;
      continue;
    }
    if (frame.kind !== 'other') yield frame;
    at = frame.end;
  }
}

type Frame = SegmentPart | { readonly kind: 'other'; readonly end: number };

/** @returns undefined at the end of the file */
async function frameAt(reading: FrameReading, at: number): Promise<Frame | undefined> {
  const { window, seed } = reading;
  const head = await window.read(at, FRAME_HEADER_BYTES);
  if (head.length === 0) return undefined;
  if (head.length < FRAME_HEADER_BYTES) return torn(at);
  const frame = decodeFrameHeader(head, seed);
  if (frame === undefined) return noFrame(reading, at);
  const bytes = await window.read(at + FRAME_HEADER_BYTES, frame.bytes);
  return bytes.length < frame.bytes ? torn(at) : check(reading, frame, bytes, at);
}

function check({ columns }: FrameReading, frame: FrameHeader, bytes: Buffer, at: number): Frame {
  const { kind, position, rows } = frame;
  if (crc32(bytes) !== frame.crc) return corrupt(at, 'wrong checksum');
  const end = at + FRAME_HEADER_BYTES + bytes.length;
  if (kind === FRAME_KINDS.settled) return { kind: 'settled', position, bytes, end };
  if (kind !== FRAME_KINDS.rows) return { kind: 'other', end };
  const ends = rowEndsOf(bytes, rows, columns);
  if (ends === undefined) return corrupt(at, 'incomplete rows');
  return { kind: 'rows', position, rows, bytes, ends, end };
}

/** After a loss of power the file may be longer than its content, with zeros to its end. */
async function noFrame({ window }: FrameReading, at: number): Promise<SegmentPart> {
  for (let offset = at; ; offset += BLOCK_BYTES) {
    const block = await window.read(offset, BLOCK_BYTES);
    if (block.length === 0) return torn(at);
    if (block.some((byte) => byte !== 0)) return corrupt(at, 'no frame header');
  }
}

/** The offset of the next whole frame. The seed rules out similar bytes within a text. */
async function findFrame(reading: FrameReading, from: number): Promise<number | undefined> {
  for (let offset = from; ;) {
    const block = await reading.window.read(offset, BLOCK_BYTES);
    for (let found = block.indexOf(FRAME_MAGIC_BYTES); found >= 0;) {
      const frame = await frameAt(reading, offset + found);
      if (frame !== undefined && 'end' in frame) return offset + found;
      found = block.indexOf(FRAME_MAGIC_BYTES, found + 1);
    }
    if (block.length < BLOCK_BYTES) return undefined;
    offset += block.length - FRAME_MAGIC_BYTES.length + 1;
  }
}

function torn(at: number): SegmentPart {
  return { kind: 'torn', at, why: 'the last frame is cut off' };
}

function corrupt(at: number, why: string): SegmentPart {
  return { kind: 'corrupt', at, why };
}
