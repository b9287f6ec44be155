import { MEASURES_OF_ENTRY } from '../postgres/measures-sql.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import { SqlParameters, type ReadStatement } from '../postgres/read-rows.js';
import { filterSql } from './filter-sql.js';
import type { TextRow } from '../postgres/pg-statement.js';
import { columnName } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { tableNames } from '../postgres/table-names.js';
import { PERIODS } from './parse-report-query.js';
import type { CheckedReport } from './parse-report-query.js';
import type { ReportRow } from '../ports/report-query.interface.js';
import { isoTime, momentSql } from './row-format.js';
import { exactNumber } from './summary-reader.js';

/** PostgreSQL's formats of the local time at the beginning of a period. */
const FORMATS: Readonly<Record<string, string>> = {
  hour: 'YYYY-MM-DD"T"HH24:00:00',
  day: 'YYYY-MM-DD',
  month: 'YYYY-MM',
};

/** A dimension and the expression of its value. */
interface Key {
  readonly sql: string;
  readonly print: (name: string) => string;
}

/**
 * The SELECT of a report. An entry belongs to the local hour, day and month of its creation. Each
 * entry is thus in exactly one, even if a day has 23 or 25 hours or an hour occurs twice (the
 * offset distinguishes them), and the days add up to the period.
 */
export function reportSql(
  table: LedgerTable,
  schema: string | undefined,
  report: CheckedReport,
): ReadStatement {
  const parameters = new SqlParameters();
  const add = (value: string): string => parameters.add(value, 'text');
  const zone = add(report.timeZone);
  const local = `(created_at AT TIME ZONE ${zone})`;
  const keys = report.groupBy.flatMap((field) => keysOf(table, field, local));
  const within = (operator: '>=' | '<', end: Date | string): string[] => {
    if (typeof end !== 'string') return [`created_at ${operator} ${literalSql(end, add)}`];
    const day = `${add(end)}::timestamp`;
    const widened = operator === '<' ? `${day} + interval '1 day'` : `${day} - interval '1 day'`;
    // By local time, like the groups: if midnight occurs twice, the day begins at the first one,
    // which AT TIME ZONE does not return. The other condition is for the index.
    return [
      `${local} ${operator} ${day}`,
      `created_at ${operator} ((${widened}) AT TIME ZONE ${zone})`,
    ];
  };
  const conditions = [...within('>=', report.from), ...within('<', report.to)];
  conditions.push(...filterSql(report.filters, parameters));
  // A parameter that is not used has no type.
  conditions.push(`${zone} <> ''`);
  if (report.writtenBefore) {
    conditions.push(`written_at < ${literalSql(report.writtenBefore, add)}`);
  }
  const names = keys.map((_, index) => `k${index}`);
  const sums = report.sum.map((field) => quoteIdentifier(columnName(field)));
  const selected = [
    ...keys.map(({ print }, index) => print(`k${index}`)),
    'sum(consumed)::text',
    'sum(supplied)::text',
    'count(*)::text',
    ...sums.map((_, index) => `sum(s${index})::text`),
  ];
  const inner = [
    MEASURES_OF_ENTRY,
    ...keys.map(({ sql }, index) => `${sql} AS k${index}`),
    ...sums.map((column, index) => `${column} AS s${index}`),
  ];
  const grouping =
    names.length > 0 ? ` GROUP BY ${names.join(', ')} ORDER BY ${order(report)}` : '';
  return {
    text: `SELECT ${selected.join(', ')} FROM (SELECT ${inner.join(', ')}
      FROM ${tableNames(table, schema).sqlEntries} WHERE ${conditions.join(' AND ')}) AS e${grouping}`,
    values: parameters.values,
  };
}

const asText = (name: string): string => `${name}::text`;

/** An hour has two values: its text, and its offset in seconds. */
function keysOf({ columns }: LedgerTable, field: string, local: string): Key[] {
  if (field === 'hour') {
    const offset = `extract(epoch FROM ${local} - (created_at AT TIME ZONE 'UTC'))::integer`;
    const spelling = `to_char(${local}, '${FORMATS['hour']}')`;
    return [spelling, offset].map((sql) => ({ sql, print: asText }));
  }
  if (PERIODS.includes(field)) {
    return [{ sql: `to_char(${local}, '${FORMATS[field]}')`, print: asText }];
  }
  // As text a time would be spelled by the session's TimeZone and DateStyle.
  const print = isMoment(columns, field) ? momentSql : asText;
  return [{ sql: quoteIdentifier(columnName(field)), print }];
}

/** A period stays one if a column has its name. */
function isMoment(columns: LedgerTable['columns'], field: string): boolean {
  return !PERIODS.includes(field) && columns[field] === 'timestamptz';
}

/** Of two hours with the same local time, the first is further ahead of UTC. */
function order({ groupBy }: CheckedReport): string {
  let count = 0;
  return groupBy
    .flatMap((field) => {
      const key = `k${count++}`;
      return field === 'hour' ? [key, `k${count++} DESC`] : [key];
    })
    .join(', ');
}

function literalSql(moment: Date, add: (value: string) => string): string {
  return `${add(moment.toISOString())}::timestamptz`;
}

/** @throws LedgerReadError `overflow` for tokens above 2^53 - 1 */
export function reportRow(
  { columns }: LedgerTable,
  report: CheckedReport,
  texts: TextRow,
): ReportRow {
  const row: Record<string, string | number | null> = {};
  let at = 0;
  for (const field of report.groupBy) {
    const text = texts[at++] ?? null;
    if (field === 'hour') row[field] = `${text}${offsetText(Number(texts[at++]))}`;
    else row[field] = text !== null && isMoment(columns, field) ? isoTime(text) : text;
  }
  const [consumed, supplied, entries] = texts.slice(at, at + 3).map((sum) => BigInt(sum ?? 0));
  row['consumedTokens'] = exactNumber('consumedTokens', consumed);
  row['suppliedTokens'] = exactNumber('suppliedTokens', supplied);
  row['netTokens'] = exactNumber('netTokens', (supplied ?? 0n) - (consumed ?? 0n));
  row['entries'] = exactNumber('entries', entries);
  for (const [index, field] of report.sum.entries()) row[field] = texts[at + 3 + index] ?? null;
  return row as ReportRow;
}

/** Historic offsets have seconds; ISO 8601 rounds them. */
function offsetText(seconds: number): string {
  const minutes = Math.round(Math.abs(seconds) / 60);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${seconds < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
