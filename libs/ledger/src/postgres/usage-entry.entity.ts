import { EntitySchema } from 'typeorm';
import type { EntitySchemaColumnOptions, EntitySchemaIndexOptions } from 'typeorm';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import { entryIndexes } from '../entry/entry-indexes.js';
import { columnsOf } from '../entry/columns.js';
import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import type { ColumnOutput, Direction } from '../entry/usage-entry.interface.js';

/** A declared column's value as read by TypeORM: times are Dates. @internal */
export type ColumnRow<T extends ColumnType> = T extends 'timestamptz' ? Date : ColumnOutput<T>;

/**
 * One row as read by `dataSource.getRepository(usage.entity)`. Ids, `bigint` and `numeric` are
 * strings, so that no digit is lost; times are Dates.
 *
 * @publicApi
 */
export type UsageEntryRow<T extends LedgerTable = LedgerTable<'bigint', {}>> = {
  uuid: string;
  userId: string;
  apiKeyId: string | null;
  serviceId: string | null;
  promptTokens: number;
  completionTokens: number;
  direction: Direction;
  memo: string | null;
  attributes: Record<string, unknown> | null;
  corrects: string | null;
  createdAt: Date;
  /** The server's time at the beginning of the transaction that wrote the row. */
  writtenAt: Date;
} & { -readonly [K in keyof T['columns']]: ColumnRow<T['columns'][K]> | null };

/** Boolean expressions of the table's checks, as written by the migration. @internal */
export const CHECK_EXPRESSIONS = {
  direction: `direction IN ('consume', 'supply')`,
  // Only a correction may have negative tokens; otherwise a sign error would become a credit.
  tokens: '(prompt_tokens >= 0 AND completion_tokens >= 0) OR corrects IS NOT NULL',
};

/**
 * The TypeORM entity of a ledger's table, for an application's own queries. The table is
 * append-only: `save()` inserts, but never updates a column. After the migrations, schema
 * synchronisation finds no difference.
 *
 * TypeORM splits a table's name at dots, so this entity can't query a table or schema with a dot in
 * its name; the ledger's own reads can. An `entityPrefix` would be prepended to the name.
 *
 * @internal
 */
export function usageEntryEntity<T extends LedgerTable>(table: T): EntitySchema<UsageEntryRow<T>> {
  return new EntitySchema<UsageEntryRow<LedgerTable>>({
    name: `LedgerEntry_${table.name}`,
    tableName: table.table,
    ...(table.schema === undefined ? {} : { schema: table.schema }),
    columns: entityColumns(table),
    indices: [...readIndexes(table), ...(!table.rollup ? [] : rollupIndexes(table))],
    checks: [
      {
        name: table.table + NAME_ENDINGS.directionCheck,
        expression: CHECK_EXPRESSIONS.direction,
      },
      { name: table.table + NAME_ENDINGS.tokensCheck, expression: CHECK_EXPRESSIONS.tokens },
    ],
  }) as EntitySchema<UsageEntryRow<T>>;
}

/** Indexes of the definition, and those of earlier versions: synchronisation drops neither. */
function readIndexes(definition: LedgerTable): EntitySchemaIndexOptions[] {
  const indexes = entryIndexes(definition);
  const asked = indexes.map(({ name, field, column, isPartial }) => ({
    name,
    columns: [field, 'createdAt'],
    ...(isPartial && { where: `${column} IS NOT NULL` }),
  }));
  const left = [NAME_ENDINGS.userIndex, NAME_ENDINGS.apiKeyIndex]
    .map((ending) => definition.table + ending)
    .filter((name) => !indexes.some((each) => each.name === name))
    .map((name) => ({ name, columns: ['createdAt'], synchronize: false }));
  return [...asked, ...left];
}

/** Made by the migration alone: TypeORM supports neither their kind nor their predicate. */
function rollupIndexes({ table }: LedgerTable): EntitySchemaIndexOptions[] {
  return [NAME_ENDINGS.createdBrin, NAME_ENDINGS.lateIndex].map((ending) => ({
    name: table + ending,
    columns: ['createdAt'],
    synchronize: false,
  }));
}

function entityColumns(table: LedgerTable): Record<string, EntitySchemaColumnOptions> {
  const columns = columnsOf(table).map(
    ({ field, column, type, isNullable }): [string, EntitySchemaColumnOptions] => [
      field,
      {
        type,
        name: column,
        update: false,
        ...(isNullable && { nullable: true }),
        // An application may have set its own type parser for these types.
        ...((type === 'bigint' || type === 'numeric') && { transformer: AS_TEXT }),
        ...(field === 'uuid' && {
          primary: true,
          primaryKeyConstraintName: table.table + NAME_ENDINGS.primaryKey,
        }),
        ...(field === 'writtenAt' && { default: () => 'now()' }),
      },
    ],
  );
  return Object.fromEntries(columns);
}

const AS_TEXT = { to: (value: unknown) => value, from: textOrNull };

function textOrNull(value: string | number | bigint | null | undefined): string | null {
  return value === null || value === undefined ? null : String(value);
}
