import type { IdType, LedgerTable } from './ledger-definition.js';

const ID_TYPES: readonly unknown[] = ['bigint', 'uuid', 'text'] satisfies IdType[];

/**
 * True for what `defineLedger` returns, also in another copy of the package. An application may
 * load the package both as ES modules and as CommonJS, and a command runs in a separate copy.
 * Therefore the shape decides, not the identity of a class or symbol.
 *
 * @internal
 */
export function isLedgerTable(value: unknown): value is LedgerTable {
  if (typeof value !== 'object' || value === null) return false;
  const { name, table, ids, columns } = value as Partial<Record<keyof LedgerTable, unknown>>;
  return (
    typeof name === 'string' &&
    typeof table === 'string' &&
    ID_TYPES.includes(ids) &&
    typeof columns === 'object' &&
    columns !== null
  );
}
