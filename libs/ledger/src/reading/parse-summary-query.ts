import type { Filter, SummaryFilter } from '../ports/summary-filter.interface.js';
import { columnName } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import { checkFields, parseColumn, parseId, parseMoment } from './parse-read-query.js';

const ID_FIELDS = ['userId', 'apiKeyId', 'serviceId'];

/** What `summary` is asked for, checked. @throws LedgerReadError `invalid`, naming the field */
export function parseSummaryQuery(table: LedgerTable, query: unknown): SummaryFilter {
  const declared = Object.keys(table.columns);
  const fields = checkFields(query, [...ID_FIELDS, 'from', 'to', 'fresh', ...declared]);
  const filters: Filter[] = [];
  for (const field of ID_FIELDS) {
    const value = fields[field];
    if (value === undefined) continue;
    const text = parseId(field, value, table.ids);
    filters.push({ field, column: columnName(field), type: table.ids, value: text });
  }
  for (const field of declared) {
    const value = fields[field];
    if (value === undefined) continue;
    const type = table.columns[field]!;
    const text = parseColumn(field, value, type);
    filters.push({ field, column: columnName(field), type, value: text });
  }
  const [from, to] = (['from', 'to'] as const).map((field) =>
    fields[field] === undefined ? undefined : parseMoment(field, fields[field]),
  );
  if (from !== undefined && to !== undefined && from > to) {
    throw new LedgerReadError('invalid', 'from', 'must not be after `to`');
  }
  return { filters, from, to };
}
