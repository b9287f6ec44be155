import { stringify, type Options } from 'csv-stringify/sync';

type Row = Readonly<Record<string, string | number | null>>;

/**
 * A possible start of a formula in a spreadsheet, at the start of a cell or after a character at
 * which the spreadsheet may split it. With decimal commas it splits at semicolons, otherwise at
 * tabs, bars or blanks, and quotes inside such a cell do not keep it together. The package handles
 * the start of a field. Source: https://owasp.org/www-community/attacks/CSV_Injection
 */
const INNER_FORMULA = /(?<=[^\p{L}\p{N}=+\-@＝＋－＠'])(?=[=+\-@＝＋－＠])/gu;

/** RFC 4180; figures stay figures, and no text is a formula. */
const OPTIONS: Options = {
  record_delimiter: 'windows',
  escape_formulas: true,
  // A program that splits at other characters keeps these fields whole too.
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

/** One record. Fields that a spreadsheet would execute get an apostrophe in front. */
export function csvLine(values: readonly (string | number | null)[]): string {
  return stringify([[...values]], OPTIONS);
}
