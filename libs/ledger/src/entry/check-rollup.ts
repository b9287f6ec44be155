/** Types whose values are equal exactly when they are the same; the others can't be a dimension. */
export const DIMENSION_TYPES = ['text', 'bigint', 'integer', 'boolean', 'uuid'];

/**
 * Names that have another meaning in the SQL of rollups: columns of the rollups, of intermediate
 * results of a refresh, the period of a summary, and RETURNING's names for the old and new rows.
 */
const TAKEN =
  /^(series|level|key|lo|hi|consumed|supplied|entries|at|n|low|high|start|next|slice|found|from|to|old|new)$/;
/** Variables and parameters of the function behind `summary()`: `vFrom` would be `v_from`. */
const VARIABLE = /^[opv][A-Z]/;

/** Maximum number of dimensions besides the built-in ones. */
const MAX_DIMENSIONS = 4;

/**
 * Finds all faults of a definition's `rollup`.
 *
 * @param columns the definition's declared columns, unchecked
 * @returns one sentence for each fault; empty if there is none
 */
export function checkRollup(rollup: unknown, columns: unknown): string[] {
  if (typeof rollup === 'boolean') return [];
  if (typeof rollup !== 'object' || rollup === null || Array.isArray(rollup)) {
    return ['rollup must be true, false or an object'];
  }
  const unknown = Object.keys(rollup).filter((key) => key !== 'dimensions');
  if (unknown.length > 0) return ['rollup has the one option dimensions'];
  const { dimensions = [] } = rollup as { dimensions?: unknown };
  if (!Array.isArray(dimensions)) return ['rollup.dimensions must be an array of declared columns'];
  const faults: string[] = [];
  if (dimensions.length > MAX_DIMENSIONS) {
    faults.push(`rollup.dimensions must be at most ${MAX_DIMENSIONS}, are ${dimensions.length}`);
  }
  if (new Set(dimensions).size < dimensions.length) {
    faults.push('rollup.dimensions must name each column once');
  }
  for (const field of dimensions) {
    if (typeof field === 'string' && (TAKEN.test(field) || VARIABLE.test(field))) {
      faults.push(
        `rollup.dimensions must not name a column ${field}: rollups use that name themselves`,
      );
    }
  }
  const types = (columns ?? {}) as Record<string, unknown>;
  const isDimension = (field: unknown): boolean =>
    typeof field === 'string' &&
    Object.hasOwn(types, field) &&
    DIMENSION_TYPES.includes(types[field] as string);
  if (!dimensions.every(isDimension)) {
    faults.push(
      `rollup.dimensions must be declared columns of the types ${DIMENSION_TYPES.join(', ')}`,
    );
  }
  return faults;
}
