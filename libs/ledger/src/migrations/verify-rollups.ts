import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { Catalog, FoundTable } from './load-catalog.js';
import { declaredDimensions } from './rollup-tables.js';
import { qualify, quoteIdentifier } from './table-names.js';
import type { TableFault } from './verify-table.js';

const TABLES = ['rollups', 'rollupState', 'rollupMarks'] as const;
const INDEXES = ['createdBrin', 'lateIndex'] as const;

/** Names of the tables and indexes of a definition's rollups; empty if it wants none. @internal */
export function rollupRelations(definition: LedgerTable): string[] {
  if (!definition.rollup) return [];
  return [...TABLES, ...INDEXES].map((ending) => definition.table + NAME_ENDINGS[ending]);
}

/**
 * Finds what keeps `summary()` from being read from rollups. None of it keeps entries from being
 * written, and reads are right all the same: they add up the rows.
 *
 * @param found in the order of `rollupRelations`
 * @internal
 */
export function verifyRollups(
  definition: LedgerTable,
  catalog: Catalog,
  found: readonly (FoundTable | null)[],
): TableFault[] {
  const names = rollupRelations(definition);
  if (names.length === 0) return [];
  const warn = (subject: string, problem: string, remedy: string): TableFault[] => [
    { kind: 'warning', subject, problem: `${problem}: summary() adds up all rows`, remedy },
  ];
  const missing = names.filter((_, index) => !found[index]);
  const tables = missing.filter((name) => names.indexOf(name) < TABLES.length);
  if (tables.length > 0) {
    return warn(
      tables[0]!,
      `rollups are missing (${tables.join(', ')})`,
      'run `npx nestjs-ledger migrate`, or define the ledger with rollup: false',
    );
  }
  if (missing.length > 0) {
    const problem = `indexes that rollups need are missing (${missing.join(', ')})`;
    return warn(
      missing[0]!,
      problem,
      'run `npx nestjs-ledger rollup`, which keeps no writer waiting',
    );
  }
  const columns = found[0]!.columns.map(({ name }) => name);
  const unknown = declaredDimensions(definition).filter((name) => !columns.includes(name));
  if (unknown.length > 0) {
    const problem = `rollups do not tell apart ${unknown.join(', ')}`;
    return warn(names[0]!, problem, 'run `npx nestjs-ledger migrate`');
  }
  // Who may read the tables may use their indexes.
  const hidden = names
    .slice(0, TABLES.length)
    .filter((_, index) => found[index]!.columns.some(isHidden));
  if (hidden.length === 0) return [];
  const targets = hidden.map((name) => qualify(definition.schema, name)).join(', ');
  const remedy = `GRANT SELECT ON ${targets} TO ${quoteIdentifier(catalog.role)}`;
  return warn(hidden[0]!, `the role may not SELECT on ${targets}`, remedy).map((fault) => ({
    ...fault,
    isPrivilege: true,
  }));
}

function isHidden({ maySelect }: { maySelect: boolean }): boolean {
  return !maySelect;
}
