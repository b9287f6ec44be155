import { entryIndexes, isEntryIndexName, type EntryIndex } from '../entry/entry-indexes.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { FoundIndex, FoundTable } from '../postgres/load-catalog.js';
import type { TableFault } from '../postgres/table-fault.interface.js';

/**
 * The indexes of a definition that no valid index can replace. The index may have any name, and
 * more columns at the end.
 *
 * @internal
 */
export function missingIndexes(definition: LedgerTable, { indexes }: FoundTable): EntryIndex[] {
  return entryIndexes(definition).filter(
    (wanted) => !indexes.some((found) => found.isValid && serves(found, wanted)),
  );
}

/**
 * Indexes that the ledger once made, by name and columns, and that the definition does not request.
 *
 * @internal
 */
export function surplusIndexes(definition: LedgerTable, { indexes }: FoundTable): FoundIndex[] {
  const wanted = entryIndexes(definition);
  return indexes.filter(
    ({ name, columns }) =>
      columns.length === 2 &&
      columns[1] === 'created_at' &&
      isEntryIndexName(definition, name) &&
      !wanted.some((each) => each.name === name),
  );
}

function serves({ columns, rows }: FoundIndex, { column }: EntryIndex): boolean {
  return rows !== 'some' && columns[0] === column && columns[1] === 'created_at';
}

/** A warning for each missing index. @param remedy the command that makes it @internal */
export function verifyIndexes(
  definition: LedgerTable,
  found: FoundTable,
  { sqlName, remedy }: { readonly sqlName: string; readonly remedy: string },
): TableFault[] {
  return missingIndexes(definition, found).map(({ field, column, name }) => ({
    kind: 'warning',
    object: 'index',
    subject: name,
    problem:
      `${sqlName} has no valid index on (${column}, created_at): ` +
      `reads by ${field} look through all entries of their period`,
    remedy,
  }));
}
