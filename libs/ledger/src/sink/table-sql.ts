import { quoteIdentifier, columnList } from '../postgres/quote-sql.js';
import type { WriteResult } from '../ports/ledger-sink.interface.js';
import type { StatementResult } from '../postgres/pg-statement.js';

/** Names that no column of a definition can have, since it would have to be snake case. */
const ORDINAL = '"?ordinal"';
const COPY_OF_KEY = '"?copy"';

/** Rows to be written, as a source in FROM. @internal */
export interface RowSource {
  /** With alias `s`. */
  readonly from: string;
  /** Expression that orders the rows as they are in the batch. */
  readonly order: string;
  /** Names of the row's columns, unquoted. */
  readonly columns: readonly string[];
}

/** @param key columns of the primary key: without them any unique index would swallow entries */
export function insertMissingSql(
  sqlTable: string,
  source: RowSource,
  key: readonly string[],
): string {
  const columns = columnList(source.columns);
  return (
    `INSERT INTO ${sqlTable} (${columns}) SELECT ${columns} FROM ${source.from} ` +
    `ORDER BY ${source.order} ON CONFLICT (${columnList(key)}) DO NOTHING`
  );
}

/**
 * Asks which rows were there before: number of the row from 1, and whether its content differs.
 * Run in the transaction of the insert. What that inserted bears its transaction's number; of rows
 * with one key only the first can have been inserted.
 *
 * @internal
 */
export function compareSql(sqlTable: string, source: RowSource, key: readonly string[]): string {
  const { columns, from, order } = source;
  const join = key.map((name) => `t.${quoteIdentifier(name)} = b.${quoteIdentifier(name)}`);
  return (
    `SELECT b.${ORDINAL}, ${differsSql(columns, 'b')} ` +
    `FROM (SELECT ${columnList(columns, 's.')}, ` +
    `row_number() OVER (ORDER BY ${order}) AS ${ORDINAL}, ` +
    `row_number() OVER (PARTITION BY ${columnList(key, 's.')} ORDER BY ${order}) ` +
    `AS ${COPY_OF_KEY} FROM ${from}) b ` +
    `JOIN ${sqlTable} t ON ${join.join(' AND ')} ` +
    `WHERE NOT (b.${COPY_OF_KEY} = 1 AND t.xmin = pg_current_xact_id()::xid) ORDER BY 1`
  );
}

/**
 * Whether a row says something else than the one of its key in the table (`t`). A `created_at` that is
 * no whole millisecond is the time of one try at a keyed entry, and is not compared.
 *
 * @param given alias of the row to be written
 * @internal
 */
export function differsSql(columns: readonly string[], given: 'b' | 's'): string {
  const others = columns.filter((name) => name !== 'created_at');
  const [stored, row] = [columnList(others, 't.'), columnList(others, `${given}.`)];
  const at = `${given}.created_at`;
  return (
    `(ROW(${stored}) IS DISTINCT FROM ROW(${row}) ` +
    `OR t.created_at <> ${at} AND ${at} = date_trunc('milliseconds', ${at}))`
  );
}

/** Asks which rows are in the table with equal content: their positions, from 1. @internal */
export function findSameSql(sqlTable: string, { columns, from, order }: RowSource): string {
  return (
    `SELECT ${order} FROM ${from} JOIN ${sqlTable} t ON t.uuid = s.uuid ` +
    `WHERE NOT ${differsSql(columns, 's')} ORDER BY 1`
  );
}

/** @param result what the server answered to `compareSql` */
export function readComparison(count: number, result: StatementResult | undefined): WriteResult {
  const duplicates: number[] = [];
  const conflicts: number[] = [];
  for (const [ordinal, differs] of result?.rows ?? []) {
    (differs === 't' ? conflicts : duplicates).push(Number(ordinal) - 1);
  }
  return { written: count - duplicates.length - conflicts.length, duplicates, conflicts };
}
