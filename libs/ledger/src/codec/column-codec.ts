import type { RowTarget } from './row-target.js';

/**
 * One column of a row: checks a value, then writes it. It keeps the value it took until the next
 * `take`, so an entry's property is read only once, and nothing is allocated for it.
 *
 * @internal
 */
export interface ColumnCodec {
  /** Upper bound of the field in bytes, its 4-byte length included; valid after `take`. */
  readonly maxBytes: number;
  /** Checks and keeps a value. @returns the rule that it breaks, or undefined */
  take(value: unknown): string | undefined;
  /** Writes the value kept, with its length. @returns the offset behind it */
  write(target: RowTarget, offset: number): number;
  /** Reads a field that is not NULL as plain JSON. @param end offset behind the field */
  read(source: RowTarget, start: number, end: number): unknown;
}

/** Writes SQL NULL. @returns the offset behind it */
export function writeNull(target: RowTarget, offset: number): number {
  target.view.setInt32(offset, -1);
  return offset + 4;
}
