import type { SegmentTarget } from '../segments/segment-description.js';

/**
 * Whether rows for one target may go to the other: the same table of the same schema of the same database.
 * Databases are told apart by the id that a migration stored there. Rows that were accepted before the
 * server was reached for the first time have none; then the address decides, which says database and schema
 * as well.
 *
 * @param found where the rows were for
 * @param own where this ledger writes
 * @internal
 */
export function isSameTarget(found: SegmentTarget, own: SegmentTarget): boolean {
  if (found.table !== own.table) return false;
  if (found.id === undefined) return found.address === own.address;
  const isElsewhere = differ(found.database, own.database) || differ(found.schema, own.schema);
  return found.id === own.id && !isElsewhere;
}

/** A name that one of the two does not say yet is no difference. */
function differ(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other;
}

/**
 * As `isSameTarget`, also before the server was reached: the address decides then, though the rows have an id.
 *
 * @internal
 */
export function maybeSameTarget(found: SegmentTarget, own: SegmentTarget): boolean {
  if (isSameTarget(found, own)) return true;
  return own.id === undefined && found.table === own.table && found.address === own.address;
}
