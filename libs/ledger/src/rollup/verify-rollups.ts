import { NAME_ENDINGS } from '../entry/check-definition.js';
import { ledgerCommand, migrateCommand } from '../entry/ledger-command.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { loadCatalog, type Catalog, type QueryFunction } from '../postgres/load-catalog.js';
import { qualify, quoteIdentifier } from '../postgres/quote-sql.js';
import type { TableFault } from '../postgres/table-fault.interface.js';
import { verifyStored } from '../postgres/verify-stored.js';
import { readRollupState } from './adopt-rollups.js';
import { planRollups } from './plan-rollups.js';
import { dimensions } from './rollup-layout.js';
import { createRollups } from './versions/0004-create-rollups.js';

const TABLES = ['rollups', 'rollupState', 'rollupMarks'] as const;
const INDEXES = ['createdBrin', 'lateIndex'] as const;

/**
 * Finds faults that prevent `summary()` from using rollups, or that may make rollups wrong. None
 * prevents writing entries.
 *
 * @param definition with its effective schema, and the rollups in the database
 * @param connectionSchema as for `ledgerCommand`; used in remedies
 * @throws any error of the query
 * @internal
 */
export async function verifyRollups(
  query: QueryFunction,
  definition: LedgerTable,
  connectionSchema?: string,
): Promise<TableFault[]> {
  const nameOf = (ending: keyof typeof NAME_ENDINGS): string =>
    definition.table + NAME_ENDINGS[ending];
  const names = [definition.table, ...[...TABLES, ...INDEXES].map(nameOf)];
  const catalog = await loadCatalog(query, names, definition.schema);
  const [entries, ...found] = catalog.tables;
  // Rollups that the definition does not request stay in use. This role may not read them, or they
  // would be adopted.
  if (!definition.rollup || !entries) return verifyPrivileges(definition, catalog);
  const missing = names.slice(1).filter((_, index) => !found[index]);
  const remedy = `run \`${migrateCommand(definition, connectionSchema)}\``;
  const remade = { remadeBy: createRollups.number };
  const tables = TABLES.map(nameOf).filter((name) => missing.includes(name));
  if (tables.length > 0) {
    const problem = `rollups are missing (${tables.join(', ')})`;
    return [{ ...warn(tables[0]!, problem, remedy), ...remade }];
  }
  const faults = verifyStored({
    plan: planRollups(definition),
    definition,
    found: entries,
    remedy,
  });
  const state = await readRollupState(query, definition);
  const unknown = dimensions(definition).filter(
    (name) => state?.dimensions.includes(name) === false,
  );
  if (unknown.length > 0) {
    const problem = `rollups have no dimension ${unknown.join(', ')}`;
    faults.push({ ...warn(nameOf('rollups'), problem, remedy), ...remade });
  }
  if (state?.isPaused) {
    const rebuild = `run \`${ledgerCommand('rollup --rebuild', definition, connectionSchema)}\``;
    faults.push(warn(nameOf('rollupState'), 'rollups are paused', rebuild));
  }
  if (missing.length > 0) {
    const problem = `indexes that rollups need are missing (${missing.join(', ')})`;
    const make = `run \`${ledgerCommand('rollup', definition, connectionSchema)}\`, which keeps no writer waiting`;
    faults.push(warn(missing[0]!, problem, make));
  }
  return [...faults, ...verifyPrivileges(definition, catalog)];
}

/** A role that may read the tables may use their indexes. */
function verifyPrivileges({ schema, table }: LedgerTable, catalog: Catalog): TableFault[] {
  const hidden = TABLES.filter((_, index) =>
    catalog.tables[index + 1]?.columns.some(({ maySelect }) => !maySelect),
  ).map((ending) => table + NAME_ENDINGS[ending]);
  if (hidden.length === 0) return [];
  const targets = hidden.map((name) => qualify(schema, name)).join(', ');
  const remedy = `GRANT SELECT ON ${targets} TO ${quoteIdentifier(catalog.role)}`;
  const fault = warn(hidden[0]!, `the role may not SELECT on ${targets}`, remedy);
  return [{ ...fault, isPrivilege: true }];
}

function warn(subject: string, problem: string, remedy: string): TableFault {
  const effect = 'summary() adds up all rows';
  return { kind: 'warning', subject, problem: `${problem}: ${effect}`, remedy };
}
