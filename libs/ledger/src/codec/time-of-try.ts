import type { RowTarget } from './row-target.js';

/**
 * An entry with an idempotency key and without `createdAt` gets the time of its try. Another try
 * has another time and is the same entry, so such a time is not compared. One added microsecond
 * marks it, because callers give milliseconds. The mark is thus stored in the row, and reads, which
 * round down to milliseconds, show the time without it.
 *
 * @param end offset after the timestamptz field
 * @internal
 */
export function markTimeOfTry({ view }: RowTarget, end: number): void {
  // Milliseconds are an even number of microseconds, so the addition has no carry.
  view.setUint32(end - 4, view.getUint32(end - 4) + 1);
}

/** @param start offset of the field's 8 bytes @internal */
export function isTimeOfTry({ view }: RowTarget, start: number): boolean {
  return view.getBigInt64(start) % 1000n === 1n;
}
