import { describe, expect, it } from 'vitest';
import { SLAB_BYTES } from '../codec/slab.js';
import type { Batch } from './batch.js';
import { Channel, MAX_BATCH_BYTES } from './channel.js';

function channelOf(capacity = 1_000_000, maxBytes = 2 ** 30): Channel {
  return new Channel({ capacity, maxBytes });
}

/** Appends rows of `bytes` bytes that start with their number. */
function append(channel: Channel, count: number, bytes = 8, now = 0): void {
  for (let i = 0; i < count; i++) {
    const slab = channel.reserve(bytes);
    slab.view.setUint32(slab.end, channel.tail);
    channel.append(slab.end + bytes, now);
  }
}

function numbers(batch: Batch): number[] {
  return Array.from({ length: batch.count }, (_, i) => batch.row(i).readUInt32BE());
}

describe('Channel', () => {
  it('returns entries in their order, across slabs', () => {
    const channel = channelOf();
    append(channel, 30, 100_000);
    const taken = [channel.take(7)!, channel.take(20)!, channel.take(99)!];
    expect(taken.map((batch) => batch.count)).toEqual([7, 20, 3]);
    expect(taken.flatMap(numbers)).toEqual(Array.from({ length: 30 }, (_, i) => i));
    expect(taken.map((batch) => batch.position)).toEqual([0, 7, 27]);
    expect(channel.take(1)).toBeUndefined();
  });

  it('counts depth, bytes in the channel and bytes held', () => {
    const channel = channelOf();
    append(channel, 10, 100);
    const batch = channel.take(4)!;
    expect(channel).toMatchObject({
      depth: 6,
      waitingBytes: 600,
      inFlight: 4,
      bytes: 1000,
      head: 4,
    });
    channel.settle(batch);
    expect(channel).toMatchObject({ depth: 6, inFlight: 0, bytes: 600, tail: 10 });
  });

  it('is full by entries or by held bytes, whichever comes first', () => {
    const byEntries = channelOf(2);
    append(byEntries, 2);
    expect(byEntries.hasRoom(8)).toBe(false);
    expect(byEntries.saturation).toBe(1);
    const byBytes = channelOf(100, 100);
    append(byBytes, 1, 80);
    expect(byBytes.hasRoom(20)).toBe(true);
    expect(byBytes.hasRoom(21)).toBe(false);
    expect(byBytes.saturation).toBe(0.8);
    const batch = byBytes.take(1)!;
    expect(byBytes.hasRoom(21), 'in flight, its memory is still held').toBe(false);
    byBytes.settle(batch);
    expect(byBytes.hasRoom(100)).toBe(true);
  });

  it('never takes more than 16 MiB at once, but at least one row', () => {
    const channel = channelOf();
    append(channel, 100, SLAB_BYTES / 2 - 1);
    const batch = channel.take(100)!;
    expect(batch.count).toBe(32);
    expect(batch.bytes).toBeLessThanOrEqual(MAX_BATCH_BYTES);
    expect(numbers(channel.take(2)!)).toEqual([32, 33]);
  });

  it('reuses the memory of settled entries in any order of settlement', () => {
    const channel = channelOf();
    const seen = new Set<Buffer>();
    for (let round = 0; round < 50; round++) {
      append(channel, 40, 100_000);
      const first = channel.take(25)!;
      const second = channel.take(15)!;
      for (const { slab } of [...first.ranges, ...second.ranges]) seen.add(slab.bytes);
      expect(numbers(second)).toEqual(Array.from({ length: 15 }, (_, i) => round * 40 + 25 + i));
      channel.settle(second);
      expect(numbers(first)).toEqual(Array.from({ length: 25 }, (_, i) => round * 40 + i));
      channel.settle(first);
      expect(channel).toMatchObject({ depth: 0, inFlight: 0, bytes: 0, waitingBytes: 0 });
    }
    expect(seen.size, 'at 4 slabs a round, 50 rounds would need 200').toBeLessThan(12);
  });

  it('reports the age of the first waiting entry', () => {
    const channel = channelOf();
    append(channel, 2, 8, 1000);
    append(channel, 1, 8, 1500);
    expect(channel.oldestAt).toBe(1000);
    const batch = channel.take(2)!;
    expect(channel.oldestAt).toBe(1500);
    expect(batch.appendedAt(1)).toBe(1000);
  });
});

describe('Batch', () => {
  it('can be split anywhere without copying', () => {
    const channel = channelOf();
    append(channel, 25, 100_000);
    const batch = channel.take(25)!;
    expect(numbers(batch.part(9, 12)!)).toEqual([9, 10, 11]);
    expect(batch.part(9, 12)!.position).toBe(9);
    expect(batch.part(3, 3)).toBeUndefined();
    const rest = batch.without(10)!.without(0)!;
    expect(numbers(rest)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, ...range(13, 25)]);
    expect(rest.holds(10)).toBe(false);
    expect(rest.holds(11)).toBe(true);
    expect(rest.positionOf(9)).toBe(11);
    expect(Buffer.concat(rest.slices())).toHaveLength(rest.bytes);
    expect(batch.part(4, 5)!.without(0)).toBeUndefined();
  });
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
