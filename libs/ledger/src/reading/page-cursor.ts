import { LedgerReadError } from '../errors/ledger-read.error.js';

/** The end of a page: the last entry's time and uuid. */
export interface PagePosition {
  /** Microseconds since 1970, as stored by PostgreSQL. */
  readonly micros: bigint;
  readonly uuid: string;
}

/** The first byte, a version for later layouts. */
const VERSION = 1;
const BYTES = 1 + 8 + 16;
/** Characters of base64url for this number of bytes. */
const CURSOR_LENGTH = Math.ceil((BYTES * 4) / 3);
const RULE = 'must be the nextCursor of an earlier answer';

/** Microseconds of 0001-01-01 and of 10000-01-01, the range of `parseMoment`. */
const MIN_MICROS = -62_135_596_800_000_000n;
const END_MICROS = 253_402_300_800_000_000n;

/** An opaque text, 34 characters of base64url. */
export function encodeCursor({ micros, uuid }: PagePosition): string {
  const bytes = Buffer.alloc(BYTES);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeBigInt64BE(micros, 1);
  bytes.write(uuid.replaceAll('-', ''), 9, 'hex');
  return bytes.toString('base64url');
}

/** @throws LedgerReadError naming `cursor` for anything that `encodeCursor` did not make */
export function decodeCursor(cursor: unknown): PagePosition {
  const isShort = typeof cursor === 'string' && cursor.length === CURSOR_LENGTH;
  const bytes = isShort ? Buffer.from(cursor, 'base64url') : undefined;
  // Decoding skips invalid characters, so encoding again shows whether any were skipped.
  const isWhole = bytes?.length === BYTES && bytes.toString('base64url') === cursor;
  if (!isWhole || bytes.readUInt8(0) !== VERSION) {
    throw new LedgerReadError('invalid', 'cursor', RULE);
  }
  const micros = bytes.readBigInt64BE(1);
  if (micros < MIN_MICROS || micros >= END_MICROS) {
    throw new LedgerReadError('invalid', 'cursor', RULE);
  }
  const hex = bytes.toString('hex', 9);
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return { micros, uuid: [...parts, hex.slice(20)].join('-') };
}

/** The time as text for PostgreSQL, with full microseconds. */
export function momentText(micros: bigint): string {
  const millis = millisOf(micros);
  const rest = String(micros - millis * 1000n).padStart(3, '0');
  return new Date(Number(millis)).toISOString().replace('Z', `${rest}Z`);
}

/** Whole milliseconds, rounded down before 1970 too. */
export function millisOf(micros: bigint): bigint {
  const rest = micros % 1000n;
  return (micros - rest) / 1000n - (rest < 0n ? 1n : 0n);
}
