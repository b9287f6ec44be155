/** Built-in fields that entries may be found by. */
const BUILT_IN = ['userId', 'apiKeyId', 'serviceId'];

/**
 * Types of declared columns whose every value fits into an index. A text, a number or a JSON of 8
 * KiB is more than the 2,704 bytes of an index row, and the server would refuse the entry. Source:
 * BTMaxItemSize in PostgreSQL's access/nbtree.h.
 */
const INDEX_TYPES = ['bigint', 'integer', 'boolean', 'uuid', 'timestamptz'];

/**
 * Finds all faults of a definition's `indexes`.
 *
 * @param columns the definition's declared columns, unchecked
 * @param rollup the definition's rollups, unchecked
 * @returns one sentence for each fault; empty if there is none
 */
export function checkIndexes(indexes: unknown, columns: unknown, rollup: unknown): string[] {
  if (indexes === undefined) return [];
  if (!Array.isArray(indexes)) return ['indexes must be an array of fields'];
  const faults: string[] = [];
  if (new Set(indexes).size < indexes.length) faults.push('indexes must name each field once');
  const types = (columns ?? {}) as Record<string, unknown>;
  const canBe = (field: unknown): boolean =>
    BUILT_IN.includes(field as string) ||
    (typeof field === 'string' &&
      Object.hasOwn(types, field) &&
      INDEX_TYPES.includes(types[field] as string));
  if (!indexes.every(canBe)) {
    faults.push(
      `indexes must be ${BUILT_IN.join(', ')} or declared columns of the types ` +
        `${INDEX_TYPES.join(', ')}; a longer value needs an index of your own, as on its md5()`,
    );
  }
  if (rollup !== undefined && rollup !== false && !indexes.includes('userId')) {
    faults.push('indexes must name userId with rollup: rollups read the rows of a user by it');
  }
  return faults;
}
