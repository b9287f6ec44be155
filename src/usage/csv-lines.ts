import { stringify, type Options } from 'csv-stringify/sync';

type Row = Readonly<Record<string, string | number | null>>;

/**
 * What a spreadsheet may take for the start of a formula, in a cell or behind a sign at which it may
 * cut one in two. Where commas mark decimals it cuts at semicolons, else at tabs, bars or blanks, and
 * quotes in the midst of such a cell keep nothing together. The start of a field is the package's.
 * Source: https://owasp.org/www-community/attacks/CSV_Injection
 */
const INNER_FORMULA = /(?<=[^\p{L}\p{N}=+\-@＝＋－＠'])(?=[=+\-@＝＋－＠])/gu;

/** RFC 4180; figures stay figures, and of a text nothing is a formula. */
const OPTIONS: Options = {
  record_delimiter: 'windows',
  escape_formulas: true,
  // A program that cuts at other signs keeps these fields whole as well.
  quoted_match: /[;\t\r\n|]/,
  cast: {
    string: (text) =>
      /^-?\d+(\.\d+)?$/.test(text)
        ? { value: text, escape_formulas: false }
        : text.replace(INNER_FORMULA, "'"),
  },
};

/** A report as lines of CSV, the names of the columns first; nothing without rows. */
export async function* csvLines(rows: AsyncIterable<Row>): AsyncGenerator<string, void, undefined> {
  let isFirst = true;
  for await (const row of rows) {
    if (isFirst) yield csvLine(Object.keys(row));
    isFirst = false;
    yield csvLine(Object.values(row));
  }
}

/** One record. What a spreadsheet would run gets an apostrophe in front. */
export function csvLine(values: readonly (string | number | null)[]): string {
  return stringify([[...values]], OPTIONS);
}
