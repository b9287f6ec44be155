type Row = Readonly<Record<string, string | number | null>>;

/**
 * What a spreadsheet takes for the beginning of a formula.
 * Source: https://owasp.org/www-community/attacks/CSV_Injection
 */
const FORMULA = /^[=+\-@\t\r\n]/;

/** A report as lines of CSV (RFC 4180), the names of the columns first; nothing without rows. */
export async function* csvLines(rows: AsyncIterable<Row>): AsyncGenerator<string, void, undefined> {
  let isFirst = true;
  for await (const row of rows) {
    if (isFirst) yield csvLine(Object.keys(row));
    isFirst = false;
    yield csvLine(Object.values(row));
  }
}

function csvLine(values: readonly (string | number | null)[]): string {
  return `${values.map(csvField).join(',')}\r\n`;
}

/** A text that a spreadsheet would run gets an apostrophe; numbers stay numbers. */
export function csvField(value: string | number | null): string {
  if (value === null) return '';
  const isNumber = typeof value === 'number' || /^-?\d+(\.\d+)?$/.test(value);
  const text = !isNumber && FORMULA.test(String(value)) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
