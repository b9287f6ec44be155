import type { LedgerTable } from '../entry/ledger-definition.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import type { Filter } from '../ports/summary-filter.interface.js';
import { decodeCursor, type PagePosition } from './page-cursor.js';
import { checkFields, filterOf, parseLimit } from './parse-read-query.js';
import { parseWhere, refuseTwice } from './parse-read-query.js';

/** A page of entries that is asked for, checked. */
export interface CheckedRecent {
  /** At least one: the user, or what else the entries are chosen by. */
  readonly filters: readonly Filter[];
  readonly limit: number;
  /** Where the page before ended; undefined: begin with the newest. */
  readonly after: PagePosition | undefined;
}

/** What `listRecent` is asked for, checked. @throws LedgerReadError `invalid`, naming the field */
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
