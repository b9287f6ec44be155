import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { formatUuid, parseUuid } from './uuid.js';

const UUIDS = 50_000;
/** A header, 36 characters, and the slot in the array. */
const MOST_BYTES = 100;

function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

describe('the text of a uuid', () => {
  it('is read back as the same bytes at any offset', () => {
    for (let i = 0; i < 1000; i++) {
      const bytes = randomBytes(24);
      const text = formatUuid(bytes, i % 8);
      expect(text).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      const read = Buffer.alloc(16);
      expect(parseUuid(text, read, 0)).toBe(true);
      expect(read.equals(bytes.subarray(i % 8, (i % 8) + 16))).toBe(true);
    }
  });

  it('retains no more memory than its characters', () => {
    const bytes = randomBytes(16);
    const before = heapUsed();
    const kept = Array.from({ length: UUIDS }, (_, i) => {
      bytes.writeUInt32BE(i, 12);
      return formatUuid(bytes, 0);
    });
    expect((heapUsed() - before) / UUIDS).toBeLessThan(MOST_BYTES);
    expect(new Set(kept).size).toBe(UUIDS);
  });
});
