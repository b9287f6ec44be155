import { createHash } from 'node:crypto';
import { MAX_IDENTIFIER_BYTES, NAME_ENDINGS } from './check-definition.js';
import { columnsOf } from './columns.js';
import type { LedgerTable } from './ledger-definition.js';

/** An index of one column and the time, for reads of one value. @internal */
export interface EntryIndex {
  /** Name of the entry's field. */
  readonly field: string;
  /** Name of the table's column, unquoted. */
  readonly column: string;
  /** Suffix after the name of the table or partition. */
  readonly ending: string;
  /** Of the index, unquoted. */
  readonly name: string;
  /** Leaves out the rows without a value. */
  readonly isPartial: boolean;
}

/** Follows the table's name in that of an index by any other column; no declared column can be `user`. */
const BY_COLUMN = '_by_';

/** Endings that the first migration gave; the others are made from the column. */
const ENDINGS: Readonly<Record<string, string>> = {
  userId: NAME_ENDINGS.userIndex,
  apiKeyId: NAME_ENDINGS.apiKeyIndex,
};

/**
 * The indexed fields. Default: `userId`, because every entry has one, and `listRecent` and
 * `summary` begin with it. Rollups also read by `apiKeyId`, at both ends of a period.
 *
 * @internal
 */
export function indexedFields({ indexes, rollup }: LedgerTable): readonly string[] {
  return indexes ?? (rollup ? ['userId', 'apiKeyId'] : ['userId']);
}

/** The indexes that a definition asks for, in its order. @internal */
export function entryIndexes(definition: LedgerTable): EntryIndex[] {
  const columns = columnsOf(definition);
  return indexedFields(definition).flatMap((field) => {
    const found = columns.find((each) => each.field === field);
    if (found === undefined) return [];
    const { column, isNullable: isPartial } = found;
    const ending = ENDINGS[field] ?? BY_COLUMN + column;
    return [{ field, column, ending, name: fitName(definition.table, ending), isPartial }];
  });
}

/** True for a name that `entryIndexes` gives, whatever the definition is. @internal */
export function isEntryIndexName({ table }: Pick<LedgerTable, 'table'>, name: string): boolean {
  if (Object.values(ENDINGS).some((ending) => name === table + ending)) return true;
  return name.startsWith(table + BY_COLUMN) || name.startsWith(HASHED);
}

/** Prefix of a name that would exceed PostgreSQL's limit. */
const HASHED = 'ledger_index_';

/**
 * The name of a relation that belongs to another one: both parts, or a digest of them if the name
 * would exceed the server's limit. Equal parts give equal names.
 *
 * @internal
 */
export function fitName(relation: string, ending: string): string {
  const name = relation + ending;
  if (Buffer.byteLength(name) <= MAX_IDENTIFIER_BYTES) return name;
  return HASHED + createHash('sha256').update(name).digest('hex').slice(0, 24);
}
