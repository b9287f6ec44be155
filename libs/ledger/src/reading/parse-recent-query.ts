import type { LedgerTable } from '../entry/ledger-definition.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import type { Filter } from '../ports/summary-filter.interface.js';
import { decodeCursor, type PagePosition } from './page-cursor.js';
import { checkFields, filterOf, parseLimit } from './parse-read-query.js';
import { parseWhere, refuseTwice } from './parse-read-query.js';

/** A checked query for a page of entries. */
export interface CheckedRecent {
  /** At least one condition: the user, or others. */
  readonly filters: readonly Filter[];
  readonly limit: number;
  /** End of the previous page; undefined: begin with the newest entry. */
  readonly after: PagePosition | undefined;
}

/** Checks the query of `listRecent`. @throws LedgerReadError `invalid`, naming the field */
export function parseRecentQuery(table: LedgerTable, query: unknown): CheckedRecent {
  const fields = checkFields(query, ['userId', 'limit', 'cursor', 'fresh', 'where']);
  const { userId, cursor } = fields;
  const where = parseWhere(table, fields['where']);
  const user = userId === undefined ? [] : [filterOf(table, 'userId', userId)];
  const filters = refuseTwice([...user, ...where]);
  if (filters.length === 0) {
    throw new LedgerReadError('invalid', 'userId', 'is required, got undefined: or give `where`');
  }
  const limit = parseLimit(fields['limit']);
  return { filters, limit, after: cursor === undefined ? undefined : decodeCursor(cursor) };
}
