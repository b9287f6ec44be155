import type { ColumnType } from '../entry/ledger-definition.js';
import { columnList, quoteIdentifier } from '../postgres/quote-sql.js';
import { differsSql } from './table-sql.js';

/** The transport of a column's bytes from a COPY row, and the SQL that restores the value. */
interface Passage {
  /** Type of the array. */
  readonly type: ColumnType | 'bytea';
  /** @param field the column as SQL */
  readonly toValue: (field: string) => string;
}

const asItIs = (field: string): string => field;

/**
 * Text is sent as bytes: a text that the server's encoding cannot hold then fails with its row and
 * not with the whole parameter. Times are sent as numbers, because their text depends on settings.
 * Source: timestamptz_recv and jsonb_recv of PostgreSQL; binary jsonb begins with a version byte.
 */
const PASSAGES: Readonly<Record<ColumnType, Passage>> = {
  boolean: { type: 'boolean', toValue: asItIs },
  bigint: { type: 'bigint', toValue: asItIs },
  integer: { type: 'integer', toValue: asItIs },
  numeric: { type: 'numeric', toValue: asItIs },
  uuid: { type: 'uuid', toValue: asItIs },
  text: { type: 'bytea', toValue: (field) => `convert_from(${field}, 'UTF8')` },
  jsonb: { type: 'bytea', toValue: (field) => `convert_from(substr(${field}, 2), 'UTF8')::jsonb` },
  timestamptz: {
    type: 'bigint',
    toValue: (field) =>
      `(timestamptz '2000-01-01 00:00:00+00' + ${field} * interval '1 microsecond')`,
  },
};

/** The transaction's setting that holds a column's array, and the one for the answer. */
const carrier = (index: number): string => `nestjs_ledger.column_${index + 1}`;
const ANSWER = 'nestjs_ledger.answer';

/**
 * Classes of errors that are no row's fault: they end the statement, as they end a COPY. Source:
 * `postgres/sql-states.ts`, verdict `transient`.
 */
const NOT_OF_A_ROW = ['08', '25', '40', '53', '55', '57', '58', 'F0', 'XX'];

/** Types of the arrays for a row's columns. @internal */
export function carrierTypes(types: readonly ColumnType[]): (ColumnType | 'bytea')[] {
  return types.map((type) => PASSAGES[type].type);
}

/** Stores the arrays `$1`, `$2`, … in settings, because a DO block has no parameters. @internal */
export function carrySql(types: readonly ColumnType[]): string {
  const calls = carrierTypes(types).map(
    (type, index) =>
      `length(set_config('${carrier(index)}', ($${index + 1}::${type}[])::text, true))`,
  );
  return `SELECT ${calls.join(', ')}`;
}

/** Reads the DO block's answer: a JSON array with one text per row. @internal */
export const ANSWER_SQL = `SELECT current_setting('${ANSWER}')`;

/** Target and input of the DO block. @internal */
export interface EachRowTarget {
  /** Quoted and qualified. */
  readonly sqlTable: string;
  /** Columns of the primary key. */
  readonly key: readonly string[];
  /** Columns of a row, with their types. */
  readonly columns: readonly string[];
  readonly types: readonly ColumnType[];
  /** Number of rows. */
  readonly count: number;
  /** No row begins after this many milliseconds. */
  readonly forMs: number;
}

/**
 * Inserts row by row, each in its own subtransaction, and answers for each: `w` written, `s`
 * accepted but not stored, `d` exists with equal content, `c` exists with different content, `u` no
 * time left, or a JSON array of pass, SQLSTATE, constraint, column and table for a refused row.
 *
 * Refused rows get a second pass if any row was accepted. From the first accepted row on the table
 * is locked against changes, so a row refused in the second pass too is itself at fault.
 *
 * @internal
 */
export function eachRowSql(target: EachRowTarget): string {
  const { sqlTable, key, columns, types, count, forMs } = target;
  const carriers = carrierTypes(types).map(
    (type, index) => `current_setting('${carrier(index)}')::${type}[]`,
  );
  const fields = types.map((_, index) => `c${index + 1}`);
  const values = types.map((type, index) => PASSAGES[type].toValue(`nl_row.${fields[index]!}`));
  const join = key.map(
    (name) => `t.${quoteIdentifier(name)} = ${values[columns.indexOf(name)] ?? 'NULL'}`,
  );
  return `
DO $nestjs_ledger$
#variable_conflict use_column
DECLARE
  nl_row record;
  nl_said text[] := array_fill('u'::text, ARRAY[${count}]);
  nl_until timestamptz := clock_timestamp() + ${Math.max(1, Math.floor(forMs))} * interval '1 millisecond';
  nl_taken boolean := false;
  nl_stored bigint;
  nl_differs boolean;
  nl_code text;
  nl_constraint text;
  nl_column text;
  nl_table text;
BEGIN
  SET CONSTRAINTS ALL IMMEDIATE;
  <<passes>>
  FOR nl_pass IN 1..2 LOOP
    FOR nl_row IN
      SELECT *
      FROM unnest(${carriers.join(', ')}) WITH ORDINALITY AS s (${fields.join(', ')}, nl_position)
    LOOP
      CONTINUE WHEN nl_pass = 2 AND left(nl_said[nl_row.nl_position::integer], 1) <> '[';
      EXIT passes WHEN clock_timestamp() > nl_until;
      BEGIN
        INSERT INTO ${sqlTable} (${columnList(columns)})
        VALUES (${values.join(', ')});
        GET DIAGNOSTICS nl_stored = ROW_COUNT;
        nl_taken := true;
        nl_said[nl_row.nl_position::integer] := CASE nl_stored WHEN 0 THEN 's' ELSE 'w' END;
      EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS
          nl_code = RETURNED_SQLSTATE, nl_constraint = CONSTRAINT_NAME,
          nl_column = COLUMN_NAME, nl_table = TABLE_NAME;
        IF left(nl_code, 2) IN (${NOT_OF_A_ROW.map((each) => `'${each}'`).join(', ')}) THEN
          RAISE;
        END IF;
        nl_differs := NULL;
        IF nl_code = '23505' THEN
          SELECT ${differsSql(columns, values)}
          INTO nl_differs
          FROM ${sqlTable} t
          WHERE ${join.join(' AND ')};
        END IF;
        nl_said[nl_row.nl_position::integer] := CASE
          WHEN nl_differs THEN 'c'
          WHEN NOT nl_differs THEN 'd'
          ELSE json_build_array(nl_pass, nl_code, nl_constraint, nl_column, nl_table)::text
        END;
      END;
    END LOOP;
    EXIT WHEN NOT nl_taken;
  END LOOP;
  PERFORM set_config('${ANSWER}', array_to_json(nl_said)::text, true);
END
$nestjs_ledger$`;
}
