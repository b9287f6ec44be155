import { ledgerCommand } from '../entry/ledger-command.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { missingPeriods } from '../partitions/create-partitions.js';
import { listPartitions } from '../partitions/list-partitions.js';
import { periodAt } from '../partitions/period.js';
import type { PgSession } from '../postgres/pg-session.js';
import { tableNames } from '../postgres/table-names.js';
import { ok, warning, type Diagnosis } from './health-checks.js';

/**
 * Checks whether the current and the next period have their own partitions. Otherwise entries go to
 * the default partition, which retention never drops and from which rows must be moved later.
 *
 * @returns nothing for a definition without partitions, or if there is no table yet
 * @internal
 */
export async function checkPartitions(
  session: PgSession,
  definition: LedgerTable,
): Promise<Diagnosis[]> {
  const { partition: unit } = definition;
  if (unit === undefined) return [];
  const { sqlEntries } = tableNames(definition, session.schema);
  const table = await listPartitions(session, sqlEntries);
  if (table === undefined) return [];
  const command = (verb: string): string =>
    `run \`${ledgerCommand(`partitions ${verb}`, definition, session.schema)}\``;
  if (!table.isPartitioned) {
    const text = `${sqlEntries} is a plain table, but the definition has partition: '${unit}'`;
    return [warning('partitions', text, command('convert'))];
  }
  const now = Date.now();
  const wanted = [periodAt(unit, now), periodAt(unit, now, 1)];
  const missing = missingPeriods(table, wanted);
  const own = table.partitions.filter(({ isDefault }) => !isDefault).length;
  if (missing.length === 0) {
    return [ok('partitions', `${own} besides the default one, for this ${unit} and the next`)];
  }
  const labels = missing.map(({ label }) => label).join(' and ');
  const has = own === 0 ? 'has only the default partition' : `has none for ${labels}`;
  const text = `${sqlEntries} ${has}: entries of ${labels} go to the default one`;
  const remedy = `${command('create')}; an application whose role owns the table does that itself`;
  return [warning('partitions', text, remedy)];
}
