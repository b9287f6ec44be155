/** An object from outside, without any guarantee. */
export type Fields = Readonly<Record<string, unknown>>;

/** The fields of an object; none of anything else. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

/** The items of an array; none of anything else. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/**
 * A text from outside in a form that an entry can contain, cut to `maxLength` UTF-16 units: without
 * control characters and halves of a surrogate pair, for which the ledger would refuse the whole
 * entry.
 *
 * @returns undefined if nothing is left, or if it was not a text
 */
export function plainText(value: unknown, maxLength: number): string | undefined {
  if (typeof value !== 'string') return undefined;
  const cut = value.slice(0, maxLength);
  // Nearly all are plain ASCII, for which the short rule takes a tenth of the time.
  const text = /^[ -~]*$/.test(cut) ? cut : cut.replaceAll(/[\p{Cc}\p{Cs}]/gu, '');
  return text === '' ? undefined : text;
}
