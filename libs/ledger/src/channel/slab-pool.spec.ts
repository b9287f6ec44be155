import { describe, expect, it } from 'vitest';
import { SLAB_BYTES, SLAB_FOOTPRINT_BYTES, type Slab } from '../codec/slab.js';
import { SlabPool } from './slab-pool.js';

const takeMany = (pool: SlabPool, count: number): Slab[] =>
  Array.from({ length: count }, () => pool.take());
const memoryOf = (slabs: readonly Slab[]): Set<unknown> =>
  new Set(slabs.map(({ bytes }) => bytes.buffer));

describe('SlabPool', () => {
  it('returns slabs that share no byte', () => {
    const slabs = takeMany(new SlabPool(2 ** 30), 50);
    slabs.forEach((slab, i) => {
      slab.bytes.fill(i);
      slab.append(i + 1, i);
    });
    for (const [i, slab] of slabs.entries()) {
      expect(slab.bytes.length).toBe(SLAB_BYTES);
      expect(slab.bytes.every((byte) => byte === i)).toBe(true);
      expect([slab.end, slab.appendedAt(0)]).toEqual([i + 1, i]);
    }
  });

  it('puts the slabs of a burst into a few blocks', () => {
    const slabs = takeMany(new SlabPool(2 ** 30), 100);
    const memory = memoryOf(slabs);
    expect(memory.size).toBeLessThan(20);
    expect(slabs.filter(({ bytes }) => bytes.buffer.byteLength > 32 * 1_048_576).length).toBe(92);
  });

  it('reuses a returned slab of a held block before it takes new memory', () => {
    const pool = new SlabPool(2 ** 30);
    const slabs = takeMany(pool, 40);
    const back = slabs.slice(10, 30);
    for (const slab of back) pool.giveBack(slab);
    expect(new Set(takeMany(pool, 20))).toEqual(new Set(back));
    expect(pool.held).toBe(40);
  });

  it('releases blocks after a burst, and keeps a few single slabs', () => {
    const pool = new SlabPool(2 ** 30);
    const before = takeMany(pool, 100);
    for (const slab of before) pool.giveBack(slab);
    expect(pool.held).toBe(0);
    const after = takeMany(pool, 100);
    const blocks = (slabs: readonly Slab[]): Slab[] => slabs.filter((slab) => pool.isOfBlock(slab));
    expect(blocks(after).filter((slab) => before.includes(slab))).toEqual([]);
    expect(after.filter((slab) => before.includes(slab)).length).toBe(4);
  });

  it('keeps a block during a load that needs it repeatedly', () => {
    const pool = new SlabPool(2 ** 30);
    takeMany(pool, 8);
    const seen = new Set<unknown>();
    for (let i = 0; i < 20; i++) {
      const slab = pool.take();
      seen.add(slab.bytes.buffer);
      pool.giveBack(slab);
    }
    expect(seen.size).toBe(1);
  });

  it('takes no block that exceeds its bound', () => {
    const pool = new SlabPool(100 * 1_048_576);
    const sizes = [...memoryOf(takeMany(pool, 88))].map(
      (memory) => (memory as ArrayBuffer).byteLength,
    );
    expect(sizes.filter((size) => size > 32 * 1_048_576).length).toBe(2);
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(104 * 1_048_576);
  });

  it('has room for the ends and ages of the smallest rows in each slab', () => {
    expect(SLAB_FOOTPRINT_BYTES % 4).toBe(0);
    const [slab] = takeMany(new SlabPool(2 ** 30), 1);
    let rows = 0;
    while (slab!.hasRoom(1)) slab!.append(++rows, rows);
    expect([slab!.endOf(rows - 1), slab!.appendedAt(rows - 1)]).toEqual([rows, rows]);
  });
});
