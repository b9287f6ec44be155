import { crc32 } from 'node:zlib';
import { checksumOf } from './checksum.js';

/**
 * A segment is a file of rows in COPY's format: a header, then frames until its end.
 * docs/segments.md describes each byte. All numbers are big-endian.
 */

/** `NLSEG`, then bytes that a transfer as text would change. */
const MAGIC = Buffer.from('NLSEG\r\n\x1a', 'latin1');
/** Version of the format, in the header and in each frame. */
export const FORMAT_VERSION = 1;
/** Magic, version, length and CRC of the description, CRC of these bytes. */
export const PREAMBLE_BYTES = 24;
/** The description names at most 28 columns; this is several times the space that they need. */
export const MAX_DESCRIPTION_BYTES = 65_536;

const FRAME_MAGIC = 0x4e_4c_46_52;
/** The first bytes of each frame. */
export const FRAME_MAGIC_BYTES = Buffer.from('NLFR', 'latin1');
export const FRAME_HEADER_BYTES = 32;
/** The limit of a frame, which bounds a reader's memory. Equal to that of a batch. */
export const MAX_FRAME_BYTES = 16 * 1_048_576;

/** Kinds of frames. Only the journal writes `settled`. @internal */
export const FRAME_KINDS = { rows: 1, settled: 2 } as const;

/** @internal */
export interface FrameHeader {
  /** One of `FRAME_KINDS`; readers skip others. */
  readonly kind: number;
  /** Bytes after the header. */
  readonly bytes: number;
  readonly rows: number;
  /** CRC-32 of these bytes. */
  readonly crc: number;
  /** Position in the run of the first row; of a settled frame: all before it are settled. */
  readonly position: number;
}

/** @param description JSON @returns the header of a file, and the seed of its frames */
export function encodeFileHeader(description: string): { bytes: Buffer; seed: number } {
  const text = Buffer.from(description);
  const seed = crc32(text);
  const preamble = Buffer.alloc(PREAMBLE_BYTES);
  MAGIC.copy(preamble);
  preamble.writeUInt32BE(FORMAT_VERSION, 8);
  preamble.writeUInt32BE(text.length, 12);
  preamble.writeUInt32BE(seed, 16);
  preamble.writeUInt32BE(crc32(preamble.subarray(0, 20)), 20);
  return { bytes: Buffer.concat([preamble, text]), seed };
}

/** The content of a file's first bytes; a text if they are not those of a segment. */
export function decodePreamble(bytes: Buffer): { length: number; crc: number } | string {
  if (bytes.length < PREAMBLE_BYTES) return 'its header is cut off';
  if (!bytes.subarray(0, 8).equals(MAGIC)) return 'it is not a segment';
  if (bytes.readUInt32BE(20) !== crc32(bytes.subarray(0, 20))) return 'its header is damaged';
  const version = bytes.readUInt32BE(8);
  if (version !== FORMAT_VERSION) return `it has format ${version}, which this version can't read`;
  const length = bytes.readUInt32BE(12);
  if (length > MAX_DESCRIPTION_BYTES) return 'its header is damaged';
  return { length, crc: bytes.readUInt32BE(16) };
}

/** Whether the first bytes of a file are those of a segment whose writer stopped within them. */
export function isCutOffPreamble(bytes: Buffer): boolean {
  const magic = bytes.subarray(0, MAGIC.length);
  return bytes.length < PREAMBLE_BYTES && magic.equals(MAGIC.subarray(0, magic.length));
}

/** @param seed of the file: a frame of another file, in a reused block of the disk, is not valid */
export function encodeFrameHeader(frame: FrameHeader, seed: number): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  writeFrameHeader(frame, seed, bytes);
  return bytes;
}

/** Like `encodeFrameHeader`, into existing bytes, without an allocation. */
export function writeFrameHeader(frame: FrameHeader, seed: number, bytes: Buffer): void {
  bytes.writeUInt32BE(FRAME_MAGIC, 0);
  bytes.writeUInt8(FORMAT_VERSION, 4);
  bytes.writeUInt8(frame.kind, 5);
  bytes.writeUInt16BE(0, 6);
  bytes.writeUInt32BE(frame.bytes, 8);
  bytes.writeUInt32BE(frame.rows, 12);
  bytes.writeUInt32BE(frame.crc, 16);
  bytes.writeUInt32BE(Math.floor(frame.position / 2 ** 32), 20);
  bytes.writeUInt32BE(frame.position % 2 ** 32, 24);
  bytes.writeUInt32BE(checksumOf(bytes, 0, 28, seed), 28);
}

/** @returns undefined if the bytes are not a frame's header in a file of this seed */
export function decodeFrameHeader(bytes: Buffer, seed: number): FrameHeader | undefined {
  if (bytes.readUInt32BE(0) !== FRAME_MAGIC) return undefined;
  if (bytes.readUInt32BE(28) !== crc32(bytes.subarray(0, 28), seed)) return undefined;
  const position = bytes.readBigUInt64BE(20);
  if (bytes.readUInt8(4) !== FORMAT_VERSION || bytes.readUInt16BE(6) !== 0) return undefined;
  const length = bytes.readUInt32BE(8);
  if (length > MAX_FRAME_BYTES || position > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return {
    kind: bytes.readUInt8(5),
    bytes: length,
    rows: bytes.readUInt32BE(12),
    crc: bytes.readUInt32BE(16),
    position: Number(position),
  };
}
