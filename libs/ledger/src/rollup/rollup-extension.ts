import type { LedgerTable } from '../entry/ledger-definition.js';
import { loadCatalog, type QueryFunction } from '../postgres/load-catalog.js';
import type { SqlMigration, TableExtension } from '../postgres/sql-migration.interface.js';
import { tableNames } from '../postgres/table-names.js';
import { createRollups, dropRollups, hasMoreDimensions } from './rollup-migrations.js';
import { declaredDimensions } from './rollup-tables.js';
import { rollupRelations, verifyRollups } from './verify-rollups.js';

const createRollupTables: SqlMigration = {
  number: 4,
  action: 'create_rollups',
  up: '{createRollups}',
  down: '{dropRollups}',
};

/** What rollups add to the tables of a ledger. @internal */
export const rollupExtension: TableExtension = {
  plan(definition) {
    if (!definition.rollup) return [];
    return [
      {
        migration: createRollupTables,
        // Its name holds the dimensions: others are another migration.
        action: ['create_rollups', ...declaredDimensions(definition)].join('+'),
        values: (schema) => {
          const names = tableNames(definition, schema);
          return {
            createRollups: scriptOf(createRollups(definition, names)),
            dropRollups: scriptOf(dropRollups(definition, names)),
          };
        },
        isSurpassed: (query, schema) => isSurpassed(query, definition, schema),
      },
    ];
  },

  async verify(query, definition) {
    if (!definition.rollup) return [];
    const names = [definition.table, ...rollupRelations(definition)];
    const catalog = await loadCatalog(query, names, definition.schema);
    return verifyRollups(definition, catalog, catalog.tables.slice(1));
  },
};

function scriptOf(statements: readonly string[]): string {
  return statements.map((sql) => `${sql};`).join('\n');
}

async function isSurpassed(
  query: QueryFunction,
  definition: LedgerTable,
  schema: string | undefined,
): Promise<boolean> {
  const { relation, sql } = hasMoreDimensions(definition, tableNames(definition, schema));
  const found = (await query('SELECT to_regclass($1)::text AS name', [relation])) as {
    name: string | null;
  }[];
  return found[0]?.name != null && ((await query(sql, [])) as unknown[]).length > 0;
}
