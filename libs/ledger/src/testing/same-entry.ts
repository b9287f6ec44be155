import { isDeepStrictEqual } from 'node:util';
import { RowCodec } from '../codec/row-codec.js';
import type { LedgerTable } from '../entry/ledger-definition.js';

/**
 * Compares the stored row and another one with the same uuid like the table, to find a duplicate or
 * a conflict: jsonb ignores the order of keys, numeric 1.0 equals 1.00, and the default time of a
 * keyed entry is not compared.
 *
 * @internal
 */
export function sameEntry(table: LedgerTable): (one: Buffer, other: Buffer) => boolean {
  const codec = new RowCodec(table);
  const numerics = Object.keys(table.columns).filter((name) => table.columns[name] === 'numeric');
  const contentOf = (row: Buffer): Record<string, unknown> => {
    const entry = codec.decode(row);
    for (const name of numerics) {
      const decimal = entry[name] as string | null;
      if (decimal !== null) entry[name] = withoutTrailingZeros(decimal);
    }
    return entry;
  };
  return (one, other) => {
    if (one.equals(other)) return true;
    const [stored, given] = [contentOf(one), contentOf(other)];
    if (codec.isTimeOfTry(other)) given['createdAt'] = stored['createdAt'];
    return isDeepStrictEqual(stored, given);
  };
}

/** A decimal in canonical form. @internal */
export function withoutTrailingZeros(decimal: string): string {
  if (!decimal.includes('.')) return decimal;
  let end = decimal.length;
  while (decimal[end - 1] === '0') end--;
  return decimal.slice(0, decimal[end - 1] === '.' ? end - 1 : end);
}
