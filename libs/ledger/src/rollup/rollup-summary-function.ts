import { MEASURES_OF_ENTRY } from '../postgres/measures-sql.js';
import { qualify, quoteIdentifier } from '../postgres/quote-sql.js';
import { columnName } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { defineFunction, ownRelation, presentTable } from '../postgres/ledger-function.js';
import {
  BACK_IN_TIME,
  dimensions,
  IN_TIME,
  IS_LATE,
  SERIES,
  seriesDimensions,
  TOP_LEVEL,
} from './rollup-tables.js';
import type { Series } from './rollup-tables.js';
import type { TableNames } from '../postgres/table-names.js';

/** The parameter of the summary's function that asks for one value of a dimension. @internal */
export function summaryParameter(column: string): string {
  return quoteIdentifier(`p_${column}`);
}

/** Dimensions with their types. @internal */
export function dimensionTypes(table: LedgerTable): [column: string, type: string][] {
  const declared = new Map<string, string>(
    Object.entries(table.columns).map(([field, type]) => [columnName(field), type]),
  );
  return dimensions(table).map((column) => [column, declared.get(column) ?? table.ids]);
}

/**
 * Statements that define the function behind `summary()`. It is a function because the server keeps
 * the plans of its statements for as long as a connection lives, also behind a pooler: to plan such a
 * read takes several times as long as to do it. It is STABLE, so all its statements see one snapshot.
 *
 * @internal
 */
export function createSummaryFunction(table: LedgerTable, names: TableNames): string[] {
  const name = ownRelation(table, 'rollupSummary');
  const parameters = [
    // The caller's search path finds the table, which the function's own would not.
    ...['p_entries regclass', 'p_from timestamptz', 'p_to timestamptz'],
    ...dimensionTypes(table).map(([column, type]) => `${summaryParameter(column)} ${type}`),
  ].map((parameter) => `${parameter} DEFAULT NULL`);
  const outputs = ['consumed', 'supplied', 'entries'].map((each) => `OUT o_${each} numeric`);
  const dropped = qualify(names.schema, `${table.table}_rollup_summary`);
  return [
    // With other dimensions it has other parameters.
    `DROP FUNCTION IF EXISTS ${dropped}`,
    defineFunction(
      names,
      `${name}(${[...parameters, ...outputs].join(', ')})
        LANGUAGE plpgsql STABLE SET plan_cache_mode TO force_generic_plan SET jit TO off`,
      summaryBody(table),
    ),
  ];
}

/**
 * Periods are closed intervals here, of microseconds: so the time that is infinite has a place in
 * a period without end.
 */
function summaryBody(table: LedgerTable): string {
  const [user, key, all] = SERIES.map((series) => seriesBody(table, series));
  // Entries may have a column v_from; what is a column's is said with its table's alias.
  return `
  #variable_conflict use_variable
  DECLARE
    v_tick CONSTANT interval := '1 microsecond';
    v_from timestamptz := coalesce(p_from, '-infinity');
    v_last timestamptz := coalesce(p_to - v_tick, 'infinity');
    v_closed timestamptz; v_written timestamptz; v_retired timestamptz;
    v_lo timestamptz; v_hi timestamptz; v_up_lo timestamptz; v_up_hi timestamptz;
  BEGIN
    -- In a schema that was renamed this function still names those of its old name.
    IF p_entries <> ${presentTable(table)} THEN
      RAISE undefined_table USING MESSAGE = 'the summary is of another table';
    END IF;
    o_consumed := 0; o_supplied := 0; o_entries := 0;
    -- Rollups know nothing of policies that hide rows from a role.
    SELECT s.closed_before, s.written_until, s.retired_before INTO v_closed, v_written, v_retired
    FROM ${ownRelation(table, 'rollupState')} s WHERE NOT row_security_active(p_entries);
    IF p_user_id IS NOT NULL THEN ${user}
    ELSIF p_api_key_id IS NOT NULL THEN ${key}
    ELSE ${all}
    END IF;
  END `;
}

/** Reads by one series: whole spans from the rollups, as large ones as there are, the rest from rows. */
function seriesBody(table: LedgerTable, series: Series): string {
  const rollups = ownRelation(table, 'rollups');
  const key = series.column === undefined ? 'r.key IS NULL' : `r.key = p_${series.column}`;
  const spans = (level: number): string =>
    `r.series = ${series.series} AND r.level = ${level} AND ${key}`;
  const first = (level: number, variable: string, from: string): string =>
    `SELECT r.hi INTO ${variable} FROM ${rollups} r
       WHERE ${spans(level)} AND r.hi >= ${from} ORDER BY ${IN_TIME} LIMIT 1`;
  const last = (level: number, variable: string, to: string): string =>
    `SELECT r.hi INTO ${variable} FROM ${rollups} r
       WHERE ${spans(level)} AND r.hi <= ${to} ORDER BY ${BACK_IN_TIME} LIMIT 1`;
  const wanted = filters(seriesDimensions(table, series), 'r');
  const sum = (level: number, lo: string, hi: string): string =>
    add(`${rollups} r`, [spans(level), ...wanted, `r.hi > ${lo}`, `r.hi <= ${hi}`], 'r');
  const climb = (level: number): string =>
    level === TOP_LEVEL
      ? sum(level, 'v_lo', 'v_hi')
      : `IF v_lo = '-infinity' THEN v_up_lo := v_lo;
        ELSE ${first(level + 1, 'v_up_lo', 'v_lo')}; END IF;
        ${last(level + 1, 'v_up_hi', 'v_hi')};
        IF v_up_lo < v_up_hi THEN
          ${sum(level, 'v_lo', 'v_up_lo')} ${sum(level, 'v_up_hi', 'v_hi')}
          v_lo := v_up_lo; v_hi := v_up_hi;
          ${climb(level + 1)}
        ELSE ${sum(level, 'v_lo', 'v_hi')}
        END IF;`;
  const wantedRows = rowFilters(table, series);
  const rows = (conditions: string[]): string => addRows(table, [...wantedRows, ...conditions]);
  const marks = [
    ...filters(dimensions(table), 'm'),
    'm.created_at >= v_lo AND m.created_at < least(v_hi, v_closed) AND m.written_at <= v_written',
  ];
  return `
    -- Of a time whose partitions were retired rollups know nothing: what is left there are few rows.
    IF v_from < v_retired THEN
      ${rows([within('v_from', 'least(v_last, v_retired - v_tick)')])}
      v_from := v_retired;
    END IF;
    IF v_closed > v_from THEN
      v_lo := v_from;
      IF v_from > '-infinity' THEN ${first(0, 'v_lo', 'v_from')}; END IF;
      -- The last span has no end of its own: it holds what was created before v_closed.
      v_hi := 'infinity';
      IF v_last < v_closed - v_tick THEN ${last(0, 'v_hi', 'v_last + v_tick')}; END IF;
      IF v_lo < v_hi THEN
        IF v_from < v_lo THEN ${rows([within('v_from', 'v_lo - v_tick')])} END IF;
        v_from := least(v_hi, v_closed);
        ${addRows(table, [...wantedRows, within('v_lo', 'v_from - v_tick')], LATE)}
        ${add(`${ownRelation(table, 'rollupMarks')} m`, marks, 'm')}
        ${climb(0)}
      END IF;
    END IF;
    IF v_from <= v_last THEN ${rows([within('v_from', 'v_last')])} END IF;`;
}

function within(lo: string, last: string): string {
  return `e.created_at >= ${lo} AND e.created_at <= ${last}`;
}

/** Which rows are a series' own, and which of them are wanted. */
function rowFilters(table: LedgerTable, series: Series): string[] {
  const own = series.column;
  return [
    ...(own === undefined ? [] : [`e.${own} = p_${own}`]),
    ...filters(seriesDimensions(table, series), 'e'),
  ];
}

function filters(columns: readonly string[], alias: string): string[] {
  return columns.map((column) => {
    const parameter = summaryParameter(column);
    return `(${parameter} IS NULL OR ${alias}.${quoteIdentifier(column)} = ${parameter})`;
  });
}

/**
 * The few late ones that no fold has met yet. OFFSET keeps the other conditions out, or the planner,
 * which knows no parameter's value, would rather read all entries of the user.
 */
const LATE = `WHERE ${IS_LATE} AND written_at > v_written OFFSET 0`;

function addRows(table: LedgerTable, conditions: readonly string[], first = ''): string {
  const entries = ownRelation(table);
  const source = `(SELECT ${MEASURES_OF_ENTRY}, 1 AS entries
    FROM ${first === '' ? entries : `(SELECT * FROM ${entries} ${first})`} e
    WHERE ${conditions.join(' AND ')}) x`;
  return add(source, [], 'x');
}

/** Adds the sums of a source to the answer. */
function add(source: string, conditions: readonly string[], alias: string): string {
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
  const sums = ['consumed', 'supplied', 'entries'].map(
    (each) => `o_${each} + coalesce(sum(${alias}.${each}), 0)`,
  );
  return `SELECT ${sums.join(', ')} INTO o_consumed, o_supplied, o_entries FROM ${source} ${where};`;
}
