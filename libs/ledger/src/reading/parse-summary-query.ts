import { DIMENSION_TYPES } from '../entry/check-rollup.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import type { SummaryFilter } from '../ports/summary-filter.interface.js';
import { checkFields, filterOf, parseMoment, parseWhere, refuseTwice } from './parse-read-query.js';

const ID_FIELDS = ['userId', 'apiKeyId', 'serviceId'];

/** Checks the query of `summary`. @throws LedgerReadError `invalid`, naming the field */
export function parseSummaryQuery(table: LedgerTable, query: unknown): SummaryFilter {
  const chosen = [...ID_FIELDS, ...Object.keys(table.columns)];
  const fields = checkFields(query, [...chosen, 'from', 'to', 'fresh', 'where']);
  const filters = chosen
    .filter((field) => field !== 'where' && fields[field] !== undefined)
    .map((field) => filterOf(table, fieldOfSummary(table, field), fields[field]));
  const [from, to] = (['from', 'to'] as const).map((field) =>
    fields[field] === undefined ? undefined : parseMoment(field, fields[field]),
  );
  if (from !== undefined && to !== undefined && from > to) {
    throw new LedgerReadError('invalid', 'from', 'must not be after `to`');
  }
  return { filters: refuseTwice([...filters, ...parseWhere(table, fields['where'])]), from, to };
}

/** @throws LedgerReadError for a column that is allowed in `where` only, like in the types */
function fieldOfSummary({ columns }: LedgerTable, field: string): string {
  const type = columns[field];
  if (type === undefined || DIMENSION_TYPES.includes(type)) return field;
  throw new LedgerReadError('invalid', field, `is of type ${type}: give it in \`where\``);
}
