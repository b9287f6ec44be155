import { columnName } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { literalSql, quoteIdentifier } from '../postgres/quote-sql.js';
import type { PlannedMigration } from '../postgres/sql-migration.interface.js';
import { adoptRollups } from './adopt-rollups.js';
import {
  declaredDimensions,
  dimensions,
  rollupNames,
  SERIES,
  seriesDimensions,
} from './rollup-layout.js';
import type { TemplateValues } from './rollup-layout.js';
import { createRollups } from './versions/0004-create-rollups.js';
import { guardRollups } from './versions/0007-guard-rollups.js';

/**
 * The migrations of rollups. Their names contain the dimensions, so other dimensions are other
 * migrations.
 *
 * @internal
 */
export function planRollups(definition: LedgerTable): PlannedMigration[] {
  if (!definition.rollup) return [];
  return [createRollups, guardRollups].map((migration) => ({
    migration,
    action: [migration.action, ...declaredDimensions(definition)].join('+'),
    values: (schema) => migrationValues(definition, schema),
    isSurpassed: async (query, schema) => {
      const adopted = await adoptRollups(query, { ...definition, schema });
      return dimensions(adopted).length > dimensions(definition).length;
    },
  }));
}

function migrationValues(definition: LedgerTable, schema: string | undefined): TemplateValues {
  const { sqlRollups, sqlMarks } = rollupNames(definition, schema);
  const declared = new Map<string, string>(
    Object.entries(definition.columns).map(([field, type]) => [columnName(field), type]),
  );
  const typed = (name: string): string => `${quoteIdentifier(name)} ${typeOf(name)}`;
  const typeOf = (name: string): string => declared.get(name) ?? definition.ids;
  const all = dimensions(definition);
  const added = declaredDimensions(definition).flatMap((name) =>
    [sqlRollups, sqlMarks].map(
      (table) => `ALTER TABLE ${table} ADD COLUMN IF NOT EXISTS ${typed(name)};\n`,
    ),
  );
  return {
    quotedTable: literalSql(quoteIdentifier(definition.table)),
    bucketColumns: all.slice(1).map(typed).join(',\n  '),
    addColumns: added.join(''),
    dimensionNames: `ARRAY[${all.map(literalSql).join(', ')}]::text[]`,
    dimensionParameters: all
      .map((name) => `${quoteIdentifier(`p_${name}`)} ${typeOf(name)} DEFAULT NULL`)
      .join(',\n  '),
    ...filterValues(definition),
  };
}

/** Words of the summary's function: the remaining conditions on buckets and rows of each series. */
function filterValues(definition: LedgerTable): TemplateValues {
  const words = ['user', 'apiKey', 'all'];
  const aliases = [
    ['buckets', 'r'],
    ['rows', 'e'],
    ['marks', 'm'],
  ] as const;
  return Object.fromEntries(
    SERIES.flatMap((series, index) =>
      aliases.map(([source, alias]) => [
        `${words[index]}.${source}`,
        seriesDimensions(definition, series)
          .map((name) => {
            const parameter = quoteIdentifier(`p_${name}`);
            return `\n  AND (${parameter} IS NULL OR ${alias}.${quoteIdentifier(name)} = ${parameter})`;
          })
          .join(''),
      ]),
    ),
  );
}
