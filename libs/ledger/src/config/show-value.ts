/** Maximum characters of a value in an error. */
const SHOWN = 80;

/** Replacement for a value that may be a secret. @internal */
export const NOT_SHOWN = '(not shown)';

/**
 * A value's text for an error: one line, at most 80 characters, without the user part of a URL.
 *
 * @internal
 */
export function showText(text: string): string {
  const masked = text.replace(/\/\/\S*@/g, '//***@');
  // Control characters would forge lines in a log, and an empty text would not be seen.
  const line = masked === '' || /\p{Cc}/u.test(masked) ? JSON.stringify(masked) : masked;
  return line.length > SHOWN ? `${line.slice(0, SHOWN - 1)}…` : line;
}

/**
 * A value from code for an error. Strings are quoted, which distinguishes `"100"` from `100`.
 * Objects and functions are shown by kind only, because they may contain secrets.
 *
 * @internal
 */
export function showValue(value: unknown): string {
  if (typeof value === 'string') return showText(JSON.stringify(value));
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'bigint') return showText(`${value}n`);
  return showText(String(value));
}
