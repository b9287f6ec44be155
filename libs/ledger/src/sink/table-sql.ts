import { quoteIdentifier, columnList } from '../postgres/quote-sql.js';
import type { StatementResult } from '../postgres/pg-statement.js';

/** Name that no column of a definition can have, since it would have to be snake case. */
const COPY_OF_KEY = '"?copy"';

/** Rows to be written, as a source in FROM. @internal */
export interface RowSource {
  /** With alias `s`. */
  readonly from: string;
  /** Expression with the position of a row in the batch, from 1. */
  readonly order: string;
  /** Names of the row's columns, unquoted. */
  readonly columns: readonly string[];
}

/**
 * Writes the rows that are not there, and answers with one row per fact: first the number of rows
 * that the table took, then the positions of the others.
 *
 * RETURNING says which keys are new. A system column (`xmin`) would say it too, but not every store
 * behind a table has one: a columnstore chunk of TimescaleDB answers 42P10.
 *
 * @param key columns of the primary key: without them any unique index would swallow entries
 * @internal
 */
export function insertMissingSql(
  sqlTable: string,
  source: RowSource,
  key: readonly string[],
): string {
  const { columns, from, order } = source;
  const names = columnList(columns);
  const same = key.map((name) => `i.${quoteIdentifier(name)} = r.${quoteIdentifier(name)}`);
  return `
WITH r AS MATERIALIZED (
  SELECT ${columnList(columns, 's.')}, ${order} AS "?position",
         row_number() OVER (PARTITION BY ${columnList(key, 's.')} ORDER BY ${order}) AS ${COPY_OF_KEY}
  FROM ${from}
), i AS (
  INSERT INTO ${sqlTable} AS t (${names})
  SELECT ${names} FROM r ORDER BY "?position"
  ON CONFLICT (${columnList(key)}) DO NOTHING
  RETURNING ${columnList(key, 't.')}
)
SELECT count(*) FROM i
UNION ALL
SELECT r."?position" FROM r
WHERE r.${COPY_OF_KEY} > 1 OR NOT EXISTS (SELECT FROM i WHERE ${same.join(' AND ')})`;
}

/** @returns the number of rows that the table took, and the indexes (from 0, ascending) of the others */
export function readInserted(result: StatementResult | undefined): {
  inserted: number;
  others: number[];
} {
  const [inserted = 0, ...positions] = (result?.rows ?? []).map(([value]) => Number(value));
  return { inserted, others: positions.map((position) => position - 1).sort((a, b) => a - b) };
}

/**
 * Whether a row says something else than the one of its key in the table (`t`). A `created_at` that is
 * no whole millisecond is the time of one try at a keyed entry, and is not compared.
 *
 * @param given the values of the row to be written, as SQL, in the order of `columns`
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

/** Asks which rows are in the table, by the whole key: position from 1, and whether they differ. @internal */
export function compareSql(sqlTable: string, source: RowSource, key: readonly string[]): string {
  const { columns, from, order } = source;
  const join = key.map((name) => `t.${quoteIdentifier(name)} = s.${quoteIdentifier(name)}`);
  return `
SELECT ${order}, ${differsSql(columns, givenBy(columns))}
FROM ${from}
JOIN ${sqlTable} t ON ${join.join(' AND ')}
ORDER BY 1`;
}

/** Asks which rows are in the table with equal content: their positions, from 1. @internal */
export function findSameSql(sqlTable: string, { columns, from, order }: RowSource): string {
  return `
SELECT ${order}
FROM ${from}
JOIN ${sqlTable} t ON t.uuid = s.uuid
WHERE NOT ${differsSql(columns, givenBy(columns))}
ORDER BY 1`;
}
