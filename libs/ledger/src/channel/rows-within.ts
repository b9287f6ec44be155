import type { Slab } from '../codec/slab.js';

/** Index after the last row that fits: binary search over the ends of rows. @internal */
export function rowsWithin(
  slab: Slab,
  from: number,
  room: { entries: number; bytes: number; atLeastOne: boolean },
): number {
  const limit = Math.min(slab.count, from + room.entries);
  const start = slab.startOf(from);
  if (limit === from || slab.endOf(limit - 1) - start <= room.bytes) return limit;
  let low = room.atLeastOne ? from + 1 : from;
  let high = limit - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (slab.endOf(middle - 1) - start <= room.bytes) low = middle;
    else high = middle - 1;
  }
  return low;
}
