import { crc32 } from 'node:zlib';

/** Up to so many bytes the call into zlib costs more than the sum. Source: `npm run bench -- journal`. */
const SMALL_BYTES = 256;
/** Remainders of the reversed polynomial, for a byte that is 0 to 3 bytes from the end of a word. */
const TABLES = makeTables();
const [NEAREST, SECOND, THIRD, FARTHEST] = TABLES;

/**
 * CRC-32 of a range of bytes, as zlib's, and without an object of its own.
 * @param seed CRC of the bytes before it
 * @internal
 */
export function checksumOf(bytes: Uint8Array, from: number, to: number, seed = 0): number {
  if (to - from > SMALL_BYTES) return crc32(bytes.subarray(from, to), seed);
  let crc = ~seed;
  let at = from;
  for (const words = to - 3; at < words; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc =
      FARTHEST[crc & 0xff]! ^
      THIRD[(crc >>> 8) & 0xff]! ^
      SECOND[(crc >>> 16) & 0xff]! ^
      NEAREST[crc >>> 24]!;
  }
  for (; at < to; at++) crc = NEAREST[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function makeTables(): readonly [Int32Array, Int32Array, Int32Array, Int32Array] {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc;
  });
  const further = (table: Int32Array): Int32Array =>
    table.map((crc) => first[crc & 0xff]! ^ (crc >>> 8));
  const second = further(first);
  const third = further(second);
  return [first, second, third, further(third)];
}
