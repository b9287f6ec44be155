import type { LedgerTable } from '../entry/ledger-definition.js';
import { decodeCursor } from './page-cursor.js';
import type { PagePosition } from './page-cursor.js';
import { checkFields, parseId, parseLimit } from './parse-read-query.js';

/** A page of a user's entries that is asked for, checked. */
export interface CheckedRecent {
  /** As PostgreSQL reads it. */
  readonly userId: string;
  readonly limit: number;
  /** Where the page before ended; undefined: begin with the newest. */
  readonly after: PagePosition | undefined;
}

/** What `listRecent` is asked for, checked. @throws LedgerReadError `invalid`, naming the field */
export function parseRecentQuery(table: LedgerTable, query: unknown): CheckedRecent {
  const fields = checkFields(query, ['userId', 'limit', 'cursor', 'fresh']);
  const userId = parseId('userId', fields['userId'], table.ids);
  const limit = parseLimit(fields['limit']);
  const cursor = fields['cursor'];
  return { userId, limit, after: cursor === undefined ? undefined : decodeCursor(cursor) };
}
