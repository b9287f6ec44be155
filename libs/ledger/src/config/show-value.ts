/** Characters of a value that an error shows. */
const SHOWN = 80;

/** What stands for a value that may be a secret. @internal */
export const NOT_SHOWN = '(not shown)';

/**
 * Text of a value as an error may show it: on one line, at most 80 characters, without the user
 * part of a URL.
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
 * A value given in code as an error may show it. Strings stand in quotes, so that `"100"` is told
 * from `100`; objects and functions are told by kind only, since they may hold secrets.
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
