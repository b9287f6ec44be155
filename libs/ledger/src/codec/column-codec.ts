import type { RowTarget } from './row-target.js';

/**
 * One column of a row: checks a value, then writes it. It keeps the value until the next `take`, so
 * each property of an entry is read only once, without an allocation.
 *
 * @internal
 */
export interface ColumnCodec {
  /** Upper bound of the field in bytes, including its 4-byte length; valid after `take`. */
  readonly maxBytes: number;
  /** Checks and keeps a value. @returns the rule that it breaks, or undefined */
  take(value: unknown): string | undefined;
  /** Writes the kept value, with its length. @returns the offset after it */
  write(target: RowTarget, offset: number): number;
  /** Reads a field that is not NULL as plain JSON. @param end offset after the field */
  read(source: RowTarget, start: number, end: number): unknown;
}

/** Writes SQL NULL. @returns the offset after it */
export function writeNull(target: RowTarget, offset: number): number {
  target.view.setInt32(offset, -1);
  return offset + 4;
}
