import { quoteIdentifier, columnList } from '../postgres/quote-sql.js';
import type { StatementResult } from '../postgres/pg-statement.js';

/** Rows to write, as a source in FROM. @internal */
export interface RowSource {
  /** With alias `s`. */
  readonly from: string;
  /** Expression with the position of a row in the batch, from 1. */
  readonly order: string;
  /** Names of the row's columns, unquoted. */
  readonly columns: readonly string[];
}

/**
 * Whether a row's content differs from the row of its key in the table (`t`). A `created_at` that
 * is not a whole millisecond is the time of one try at a keyed entry, and is not compared.
 *
 * @param given the values of the row to write, as SQL, in the order of `columns`
 * @internal
 */
export function differsSql(columns: readonly string[], given: readonly string[]): string {
  const others = columns.filter((name) => name !== 'created_at');
  const values = given.filter((_, index) => columns[index] !== 'created_at');
  const at = given[columns.indexOf('created_at')]!;
  return (
    `(ROW(${columnList(others, 't.')}) IS DISTINCT FROM ROW(${values.join(', ')}) ` +
    `OR t.created_at <> ${at} AND ${at} = date_trunc('milliseconds', ${at}))`
  );
}

function givenBy(columns: readonly string[]): string[] {
  return columns.map((name) => `s.${quoteIdentifier(name)}`);
}

/**
 * Finds the rows that exist, by the whole key. Returns one row of two texts: the positions (from 1)
 * of those with equal content and of those with different content. One row keeps long answers fast
 * to read.
 *
 * @internal
 */
export function compareSql(sqlTable: string, source: RowSource, key: readonly string[]): string {
  const { columns, from, order } = source;
  const join = key.map((name) => `t.${quoteIdentifier(name)} = s.${quoteIdentifier(name)}`);
  return `
SELECT string_agg(position::text, ',' ORDER BY position) FILTER (WHERE NOT differs),
       string_agg(position::text, ',' ORDER BY position) FILTER (WHERE differs)
FROM (
  SELECT ${order} AS position, ${differsSql(columns, givenBy(columns))} AS differs
  FROM ${from}
  JOIN ${sqlTable} t ON ${join.join(' AND ')}
) AS compared`;
}

/** @returns the positions in each text of the answer's one row, from 0 @internal */
export function readPositions(result: StatementResult | undefined): number[][] {
  const [texts = []] = result?.rows ?? [];
  return texts.map((text) =>
    text === null ? [] : text.split(',').map((position) => Number(position) - 1),
  );
}

/** Finds the rows that exist with equal content: their positions, from 1. @internal */
export function findSameSql(sqlTable: string, { columns, from, order }: RowSource): string {
  return `
SELECT ${order}
FROM ${from}
JOIN ${sqlTable} t ON t.uuid = s.uuid
WHERE NOT ${differsSql(columns, givenBy(columns))}
ORDER BY 1`;
}
