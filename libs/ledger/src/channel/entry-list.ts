/** Maximum length of an array. Source: ECMAScript, ArraySetLength. */
const LONGEST_ARRAY = 2 ** 32 - 1;

/**
 * Length of a list of entries, 0 to 2^32 - 1. Never throws. Undefined if it is not an array or
 * can't be read, or if a Proxy returns an invalid length.
 *
 * @internal
 */
export function lengthOf(entries: unknown): number | undefined {
  try {
    if (!Array.isArray(entries)) return undefined;
    const length: unknown = entries.length;
    const isLength = Number.isInteger(length) && (length as number) >= 0;
    return isLength && (length as number) <= LONGEST_ARRAY ? (length as number) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * An element of a list. Never throws; undefined, an invalid entry, if it can't be read.
 * @internal
 */
export function elementOf(entries: readonly unknown[], index: number): unknown {
  try {
    return entries[index];
  } catch {
    return undefined;
  }
}
