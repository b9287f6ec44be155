type Row = Readonly<Record<string, string | number | null>>;

/**
 * Where a spreadsheet may see a formula begin: at the start of a cell, and a cell of its own may
 * start within a field. Where commas mark decimals a spreadsheet cuts a line at semicolons, some do
 * at tabs, and quotes in the middle of such a cell keep neither these nor line ends together.
 * Source: https://owasp.org/www-community/attacks/CSV_Injection
 */
const FORMULAS = /(?<=^|[;\t\r\n])(?=[=+\-@\t\r\n])/g;

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

/** What a spreadsheet would run gets an apostrophe in front; numbers stay numbers. */
export function csvField(value: string | number | null): string {
  if (value === null) return '';
  const isNumber = typeof value === 'number' || /^-?\d+(\.\d+)?$/.test(value);
  const text = isNumber ? String(value) : value.replace(FORMULAS, "'");
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
