import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { makeIndexes } from '../postgres/make-indexes.js';
import type { PgSession } from '../postgres/pg-session.js';
import { BRIN_COLUMNS, LATE_COLUMNS } from './rollup-layout.js';

/**
 * Indexes of entries that rollups need. The ending for a partition's index is shorter, because its
 * name leaves less room.
 */
const INDEXES = [
  { ending: '_brin', ofTable: NAME_ENDINGS.createdBrin, body: BRIN_COLUMNS },
  { ending: '_late', ofTable: NAME_ENDINGS.lateIndex, body: LATE_COLUMNS },
] as const;

/**
 * Makes the two indexes of entries if they are missing or incomplete, while writers continue. Run
 * it outside a transaction.
 *
 * @param table with its effective schema
 * @throws any error of the session; 42501 if the role is not the table's owner
 * @internal
 */
export async function makeEntryIndexes(session: PgSession, table: LedgerTable): Promise<void> {
  const indexes = INDEXES.map(({ ending, ofTable, body }) => ({
    name: table.table + ofTable,
    ending,
    body,
  }));
  await makeIndexes(session, table, indexes);
}
