import type { SegmentTarget } from '../segments/segment-description.js';

/**
 * Whether rows for one target may go to the other: the same table of the same schema of the same
 * database. The id that a migration stored in a database identifies it. Rows accepted before the
 * first contact with the server have no id. For them the address decides, which includes database
 * and schema.
 *
 * @param found target of the rows
 * @param own target of this ledger
 * @internal
 */
export function isSameTarget(found: SegmentTarget, own: SegmentTarget): boolean {
  if (found.table !== own.table) return false;
  if (found.id === undefined) return found.address === own.address;
  const isElsewhere = differ(found.database, own.database) || differ(found.schema, own.schema);
  return found.id === own.id && !isElsewhere;
}

/** A name that is unknown in one of the two is not a difference. */
function differ(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other;
}

/**
 * Like `isSameTarget`, but also before the first contact with the server: the address then decides
 * even for rows with an id.
 *
 * @internal
 */
export function maybeSameTarget(found: SegmentTarget, own: SegmentTarget): boolean {
  if (isSameTarget(found, own)) return true;
  return own.id === undefined && found.table === own.table && found.address === own.address;
}
