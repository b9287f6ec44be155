import type { LedgerTable } from './ledger-definition.js';

/**
 * The ledger of an application that defines none.
 *
 * @internal
 */
export const DEFAULT_TABLE: LedgerTable<'bigint', {}> = Object.freeze({
  name: 'default',
  schema: undefined,
  table: 'usage_entries',
  ids: 'bigint',
  columns: Object.freeze({}),
  rollup: false,
  immutable: false,
  shared: false,
});

/** True if both definitions are equal, also across copies of the package. @internal */
export function isSameDefinition(a: LedgerTable, b: LedgerTable): boolean {
  return fingerprint(a) === fingerprint(b);
}

/** The same text for equal definitions. @internal */
export function fingerprint(definition: LedgerTable): string {
  const { name, schema, table, ids, columns, partition, rollup, immutable, shared, uuids } =
    definition;
  const { indexes } = definition;
  return JSON.stringify([
    [name, schema ?? null, table, ids],
    Object.entries(columns),
    [partition ?? null, rollup ?? false, immutable ?? false, shared ?? false, uuids ?? null],
    indexes ?? null,
  ]);
}
