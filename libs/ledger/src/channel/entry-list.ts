/** The longest array. Source: ECMAScript, ArraySetLength. */
const LONGEST_ARRAY = 2 ** 32 - 1;

/**
 * Length of a list of entries, 0 to 2^32 - 1. Never throws; undefined for what is no array, or is
 * one that can't be read or, as a Proxy, answers with no length.
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

/** An entry of a list. Never throws; undefined, which is no entry, for what can't be read. @internal */
export function elementOf(entries: readonly unknown[], index: number): unknown {
  try {
    return entries[index];
  } catch {
    return undefined;
  }
}
