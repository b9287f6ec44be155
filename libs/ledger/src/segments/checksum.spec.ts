import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { checksumOf } from './checksum.js';

describe('the checksum of a range', () => {
  it('is that of zlib, for every length up to 600 and any seed', () => {
    const bytes = randomBytes(700);
    for (let length = 0; length <= 600; length++) {
      const from = length % 7;
      const seed = bytes.readUInt32BE(length);
      const range = bytes.subarray(from, from + length);
      expect(checksumOf(bytes, from, from + length)).toBe(crc32(range));
      expect(checksumOf(bytes, from, from + length, seed)).toBe(crc32(range, seed));
    }
  });

  it('goes on where another range ended', () => {
    const bytes = randomBytes(400);
    const half = checksumOf(bytes, 0, 129);
    expect(checksumOf(bytes, 129, 400, half)).toBe(crc32(bytes));
  });
});
