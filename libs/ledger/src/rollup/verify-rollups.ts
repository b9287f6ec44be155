import { qualify, quoteIdentifier } from '../postgres/quote-sql.js';
import type { TableFault } from '../postgres/table-fault.interface.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { ledgerCommand, migrateCommand } from '../entry/ledger-command.js';
import type { Catalog, FoundTable } from '../postgres/load-catalog.js';
import { declaredDimensions } from './rollup-tables.js';
import { summaryParameter } from './rollup-summary-function.js';
import { ROLLUP_TRIGGERS } from './rollup-triggers.js';

const TABLES = ['rollups', 'rollupState', 'rollupMarks'] as const;
const INDEXES = ['createdBrin', 'lateIndex'] as const;

/** Names of the tables and indexes of a definition's rollups; empty if it wants none. @internal */
export function rollupRelations(definition: LedgerTable): string[] {
  if (!definition.rollup) return [];
  return [...TABLES, ...INDEXES].map((ending) => definition.table + NAME_ENDINGS[ending]);
}

/**
 * Finds what keeps `summary()` from being read from rollups. None of it keeps entries from being
 * written, and reads are right all the same, since they add up the rows; unless triggers are gone.
 *
 * @param definition with the schema that counts
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
  const migrate = `run \`${migrateCommand(definition)}\``;
  const missing = names.filter((_, index) => !found[index]);
  const tables = missing.filter((name) => names.indexOf(name) < TABLES.length);
  if (tables.length > 0) {
    const remedy = `${migrate}, or define the ledger with rollup: false`;
    return remade(...warn(tables[0]!, `rollups are missing (${tables.join(', ')})`, remedy));
  }
  const gone = verifyFunctions(definition, catalog.tables[0], migrate);
  if (missing.length > 0) {
    const problem = `indexes that rollups need are missing (${missing.join(', ')})`;
    const remedy = `run \`${ledgerCommand('rollup', definition)}\`, which keeps no writer waiting`;
    return [...gone, ...warn(missing[0]!, problem, remedy)];
  }
  if (gone.length > 0) return gone;
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

function warn(subject: string, problem: string, remedy: string): TableFault[] {
  const effect = 'summary() adds up all rows';
  return [{ kind: 'warning', subject, problem: `${problem}: ${effect}`, remedy }];
}

/** What the last migration of rollups made beside their tables. */
function verifyFunctions(
  definition: LedgerTable,
  entries: FoundTable | null | undefined,
  migrate: string,
): TableFault[] {
  const bodies = ownBodies(definition, entries);
  const nameOf = (ending: keyof typeof NAME_ENDINGS): string =>
    definition.table + NAME_ENDINGS[ending];
  const goneTriggers = ROLLUP_TRIGGERS.map(({ ending }) => nameOf(ending)).filter(
    (name) => !bodies.has(name) || !entries?.triggers.some((trigger) => trigger.name === name),
  );
  if (goneTriggers.length > 0) {
    const problem = `triggers ${goneTriggers.join(', ')} are missing: rollups miss what is changed`;
    return remade({ kind: 'warning', subject: goneTriggers[0]!, problem, remedy: migrate });
  }
  const summary = bodies.get(nameOf('rollupSummary'));
  if (summary === undefined) {
    const problem = `the function ${nameOf('rollupSummary')} is missing`;
    return remade(...warn(nameOf('rollupSummary'), problem, migrate));
  }
  // Columns of dimensions of before stay; the function is by the last migration.
  const unknown = declaredDimensions(definition).filter(
    (name) => !summary.includes(summaryParameter(name)),
  );
  if (unknown.length > 0) {
    const problem = `rollups do not tell apart ${unknown.join(', ')}`;
    return remade(...warn(nameOf('rollups'), problem, migrate));
  }
  return [];
}

function remade(...faults: TableFault[]): TableFault[] {
  return faults.map((fault) => ({ ...fault, remadeBy: 4 }));
}

/** By name, without those that still name the table by a schema's old name. */
function ownBodies(
  { table }: LedgerTable,
  entries: FoundTable | null | undefined,
): Map<string, string> {
  const own = `${entries?.quotedSchema}.${quoteIdentifier(table)}`;
  const functions = entries?.functions.filter(({ body }) => body.includes(own)) ?? [];
  return new Map(functions.map(({ name, body }) => [name, body]));
}

function isHidden({ maySelect }: { maySelect: boolean }): boolean {
  return !maySelect;
}
