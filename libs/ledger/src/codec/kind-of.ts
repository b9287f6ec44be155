/** The kind of a value for an error message, never the value: `a string`, `NaN`, `an array`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return kindOfNumber(value);
  if (typeof value === 'string') return value === '' ? 'an empty string' : 'a string';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : 'a Date';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function kindOfNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (!Number.isInteger(value)) return 'a fraction';
  if (!Number.isSafeInteger(value)) return 'a number above 2^53 - 1';
  return value < 0 ? 'a negative number' : 'a number';
}

/** The rule, followed by the kind of the given value. */
export function unlike(rule: string, value: unknown): string {
  return `must be ${rule}, got ${kindOf(value)}`;
}
