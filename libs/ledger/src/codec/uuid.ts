import { randomBytes, randomInt } from 'node:crypto';
import type { RowTarget } from './row-target.js';

/**
 * Sequences from this value on lie outside every run; `newEntryUuid()` uses them. A run would need
 * 2.2 * 10^12 entries to reach it.
 */
export const OUTSIDE_SEQUENCE = 2 ** 41;
const TWO_32 = 2 ** 32;
/** ASCII codes of the two hex digits of each byte. */
const HEX = Buffer.from(
  Array.from({ length: 256 }, (_, byte) => byte)
    .map(hexOf)
    .join(''),
);
const NIBBLES = new Int8Array(128).fill(-1);
for (let i = 0; i < 16; i++) {
  NIBBLES[i.toString(16).charCodeAt(0)] = i;
  NIBBLES[i.toString(16).toUpperCase().charCodeAt(0)] = i;
}

/** A random id of 32 bits for one run of one ledger. */
export function newRun(): number {
  return randomBytes(4).readUInt32BE();
}

/** A run as in `stats()` and logs: eight hex digits. */
export function formatRun(run: number): string {
  return run.toString(16).padStart(8, '0');
}

/**
 * Writes a UUIDv7: 48 bits of milliseconds, 32 bits of run, 42 bits of sequence. Source: RFC 9562,
 * section 5.7; run and sequence use its 74 free bits.
 */
export function writeUuidV7(
  target: RowTarget,
  offset: number,
  ms: number,
  id: { readonly run: number; readonly sequence: number },
): void {
  const { view } = target;
  writeUuidTime(target, offset, ms);
  view.setUint16(offset + 6, 0x7000 | (id.run >>> 20));
  writeUuidSequence(target, offset, id.run, id.sequence);
}

/** Writes the second half of a UUIDv7: variant, the run's low 20 bits and the sequence. */
export function writeUuidSequence(
  target: RowTarget,
  offset: number,
  run: number,
  sequence: number,
): void {
  const high = ((run & 0xfffff) << 10) | Math.floor(sequence / TWO_32);
  target.view.setUint32(offset + 8, (0x80000000 | high) >>> 0);
  target.view.setUint32(offset + 12, sequence >>> 0);
}

/**
 * The 12 bits after the version of every UUIDv8 with a time that the ledger makes. They tell it
 * from a caller's uuid, except for one in 4,096 of those that also begin with a time.
 */
const LEDGER_MARK = 0x1ed;

/**
 * Writes a UUIDv8 of a time and 62 bits of a digest. The same content at the same time gives the
 * same uuid. Source: RFC 9562, section 5.8.
 *
 * @param digest 10 bytes or more
 */
export function writeUuidV8(
  target: RowTarget,
  offset: number,
  ms: number,
  digest: Uint8Array,
): void {
  writeDigest(target, offset, digest);
  writeUuidTime(target, offset, ms);
  target.view.setUint16(offset + 6, 0x8000 | LEDGER_MARK);
}

/** Writes a UUIDv8 without a time: the time bits are zero, and 74 bits come from the digest. */
export function writeTimelessUuidV8(target: RowTarget, offset: number, digest: Uint8Array): void {
  writeDigest(target, offset, digest);
  writeUuidTime(target, offset, 0);
}

function writeDigest({ bytes }: RowTarget, offset: number, digest: Uint8Array): void {
  bytes.set(digest.subarray(0, 10), offset + 6);
  bytes[offset + 6] = 0x80 | (digest[0]! & 0x0f);
  bytes[offset + 8] = 0x80 | (digest[2]! & 0x3f);
}

/** True for a UUIDv7. @param view its 16 bytes from 0 */
export function isUuidV7(view: DataView): boolean {
  return view.getUint8(6) >>> 4 === 7 && view.getUint8(8) >>> 6 === 2;
}

/**
 * Writes a UUIDv7 of a time and a digest, outside every run's sequence. The same content at the
 * same time gives the same uuid.
 *
 * @param digest 10 bytes or more
 */
export function writeDigestUuidV7(
  target: RowTarget,
  offset: number,
  ms: number,
  digest: Uint8Array,
): void {
  const view = new DataView(digest.buffer, digest.byteOffset, 10);
  const sequence = OUTSIDE_SEQUENCE + (view.getUint16(4) & 0x1ff) * TWO_32 + view.getUint32(6);
  writeUuidV7(target, offset, ms, { run: view.getUint32(0), sequence });
}

/** True for the uuid of an idempotency key without a time. @param view its 16 bytes from 0 */
export function isTimelessUuidV8(view: DataView): boolean {
  return view.getUint32(0) === 0 && view.getUint16(4) === 0 && view.getUint8(6) >>> 4 === 8;
}

/** True for a UUIDv8 that the ledger made, for an idempotency key or a reversal. */
export function isLedgerUuidV8(view: DataView): boolean {
  return view.getUint16(6) === (0x8000 | LEDGER_MARK) || isTimelessUuidV8(view);
}

/** True for a uuid of the run's sequence, used already or not. */
export function isUuidOfRun(view: DataView, run: number): boolean {
  // The sequence's highest bit marks uuids outside every run.
  if (view.getUint8(6) >>> 4 !== 7 || (view.getUint32(8) & 0x200) !== 0) return false;
  return runOf(view) === run;
}

function runOf(view: DataView): number {
  return (((view.getUint16(6) & 0xfff) << 20) | ((view.getUint32(8) >>> 10) & 0xfffff)) >>> 0;
}

/** Sequence of a uuid of a run. @param view its 16 bytes from 0 */
export function sequenceOf(view: DataView): number {
  return (view.getUint32(8) & 0x3ff) * TWO_32 + view.getUint32(12);
}

/** Milliseconds of a uuid that begins with a time. @param view its 16 bytes from 0 */
export function timeOf(view: DataView): number {
  return view.getUint32(0) * 65_536 + view.getUint16(4);
}

function writeUuidTime(target: RowTarget, offset: number, ms: number): void {
  target.view.setUint32(offset, Math.floor(ms / 65_536));
  target.view.setUint16(offset + 4, ms % 65_536);
}

/**
 * Parses a uuid in the 8-4-4-4-12 form, in either case, and writes its bytes.
 * @returns false if it is not a uuid; the memory is then undefined
 */
export function parseUuid(text: string, bytes: Uint8Array, offset: number): boolean {
  if (text.length !== 36) return false;
  let at = offset;
  for (let i = 0; i < 36; i += 2) {
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (text.charCodeAt(i) !== 45) return false;
      i++;
    }
    const high = NIBBLES[text.charCodeAt(i)] ?? -1;
    const low = NIBBLES[text.charCodeAt(i + 1)] ?? -1;
    if (high < 0 || low < 0) return false;
    bytes[at++] = (high << 4) | low;
  }
  return true;
}

/** Position of each byte in the text. */
const TEXT_AT = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
const TEXT = Buffer.alloc(36, '-');

/**
 * The 8-4-4-4-12 form, in lower case, of 16 bytes. It is one string of 56 bytes; a string
 * concatenated from digits would retain a tree of 480 bytes.
 */
export function formatUuid(bytes: Uint8Array, offset: number): string {
  for (let i = 0; i < 16; i++) {
    const digits = 2 * bytes[offset + i]!;
    const at = TEXT_AT[i]!;
    TEXT[at] = HEX[digits]!;
    TEXT[at + 1] = HEX[digits + 1]!;
  }
  return TEXT.toString('latin1');
}

function hexOf(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

/**
 * A UUIDv7 outside every run's sequence, for callers who must know an entry's uuid before they
 * record it. Strictly random within a millisecond.
 *
 * @param createdAt the entry's time; default now
 * @publicApi
 */
export function newEntryUuid(createdAt: Date = new Date()): string {
  const bytes = randomBytes(16);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const sequence = OUTSIDE_SEQUENCE + randomInt(512) * TWO_32 + view.getUint32(12);
  writeUuidV7({ bytes, view }, 0, createdAt.getTime(), { run: view.getUint32(8), sequence });
  return formatUuid(bytes, 0);
}

/**
 * Replaces a UUIDv7 by another of the same time, random and outside every run's sequence.
 *
 * @param bytes its 16 bytes begin at `offset`
 */
export function renewUuidV7(bytes: Buffer, offset: number): void {
  const ms = bytes.readUIntBE(offset, 6);
  parseUuid(newEntryUuid(new Date(ms)), bytes, offset);
}

/**
 * The origin of an entry from its uuid: time in milliseconds, run as eight hex digits and sequence;
 * undefined if it is not a UUIDv7 of a run's sequence.
 *
 *
 * @internal
 */
export function readUuid(
  uuid: string,
): { createdAt: number; run: string; sequence: number } | undefined {
  const bytes = Buffer.alloc(16);
  if (!parseUuid(uuid, bytes, 0) || bytes[6]! >>> 4 !== 7) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const sequence = sequenceOf(view);
  if (sequence >= OUTSIDE_SEQUENCE) return undefined;
  return { createdAt: bytes.readUIntBE(0, 6), run: formatRun(runOf(view)), sequence };
}
