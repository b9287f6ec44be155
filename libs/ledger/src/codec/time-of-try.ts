import type { RowTarget } from './row-target.js';

/**
 * An entry with an idempotency key and without `createdAt` gets the time of its try. Another try has
 * another time and is the same entry, so such a time is not compared. It is told by one microsecond:
 * callers give milliseconds. So the mark goes wherever the row goes, and every read, which rounds down
 * to milliseconds, shows the time itself.
 *
 * @param end offset behind the timestamptz field
 * @internal
 */
export function markTimeOfTry({ view }: RowTarget, end: number): void {
  // Milliseconds are even numbers of microseconds, so this carries nothing over.
  view.setUint32(end - 4, view.getUint32(end - 4) + 1);
}

/** @param start offset of the field's 8 bytes @internal */
export function isTimeOfTry({ view }: RowTarget, start: number): boolean {
  return view.getBigInt64(start) % 1000n === 1n;
}
