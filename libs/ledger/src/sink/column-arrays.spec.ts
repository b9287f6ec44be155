import { describe, expect, it } from 'vitest';
import { rowBatch } from '../sink-kit/sink-trial.js';
import { columnArrays } from './column-arrays.js';

const TYPES = ['integer', 'text'] as const;

/** A row in COPY's format: the number of fields, then the length and bytes of each. */
function row(id: number, text: string): Buffer {
  const head = Buffer.alloc(14);
  head.writeInt16BE(TYPES.length, 0);
  head.writeInt32BE(4, 2);
  head.writeInt32BE(id, 6);
  head.writeInt32BE(text.length, 10);
  return Buffer.concat([head, Buffer.from(text)]);
}

const hex = (int32: number): string => int32.toString(16).padStart(8, '0');

describe('columnArrays', () => {
  it('returns each column as an array of its type', async () => {
    const [ids, texts] = await columnArrays(rowBatch([row(1, 'ab'), row(2, 'c')], 1), TYPES);
    // One dimension, no NULLs, the type, two elements, counted from 1.
    const header = (oid: number): string => `0000000100000000${hex(oid)}0000000200000001`;
    expect(ids!.oid).toBe(1007);
    expect(ids!.value.toString('hex')).toBe(`${header(23)}${hex(4)}${hex(1)}${hex(4)}${hex(2)}`);
    expect(texts!.oid).toBe(1009);
    expect(texts!.value.toString('hex')).toBe(`${header(25)}${hex(2)}6162${hex(1)}63`);
  });

  it('gives the event loop a turn every 256 KiB in each pass over the rows', async () => {
    const rows = Array.from({ length: 1024 }, (_, id) => row(id, 'x'.repeat(4096)));
    let turns = 0;
    const count = (): void => {
      turns += 1;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    await columnArrays(rowBatch(rows, 100), TYPES);
    clearImmediate(timer);
    expect(turns).toBeGreaterThanOrEqual(2 * Math.floor(4096 / 256));
  });

  it('refuses rows of another definition', async () => {
    await expect(columnArrays(rowBatch([row(1, 'a')]), ['text'])).rejects.toThrow(
      'a row of another definition',
    );
  });
});
