import type { EntitySchema } from 'typeorm';
import { DEFAULT_TABLE } from './entry/compare-definitions.js';
import { checkDefinition } from './entry/check-definition.js';
import type {
  DeclaredColumns,
  IdType,
  LedgerTable,
  PartitionPeriod,
} from './entry/ledger-definition.js';
import { usageEntryEntity } from './postgres/usage-entry.entity.js';
import type { UsageEntryRow } from './postgres/usage-entry.entity.js';
import { LedgerDefinitionError } from './errors/ledger-definition.error.js';
import { tableExtensions } from './ledger.extensions.js';
import { ledgerMigrations } from './migrations/ledger-migrations.js';
import type { MigrationConstructor } from './migrations/ledger-migrations.js';

/**
 * The same type without inference. Otherwise a field that is named elsewhere would count as
 * declared. TypeScript has `NoInfer` from 5.4 on.
 */
type Given<T> = [T][T extends unknown ? 0 : never];

/** Options of a definition; each has a default. @publicApi */
export interface DefinitionOptions<
  Ids extends IdType = IdType,
  Columns extends DeclaredColumns = DeclaredColumns,
> {
  /**
   * 1 to 40 of a-z, 0-9, _ and -, beginning with a letter; default `default`. Two ledgers with one
   * name fail the application's boot.
   */
  readonly name?: string;
  /** At most 63 bytes, always quoted; default: the connection's own schema. */
  readonly schema?: string;
  /**
   * At most 45 bytes, because names of indexes and of the dead-letter table are derived from it;
   * always quoted. Default `usage_entries`.
   */
  readonly table?: string;
  /** Type of `userId`, `apiKeyId` and `serviceId`; default `bigint`. */
  readonly ids?: Ids;
  /** The application's additional columns by entry field, at most 16, nullable; default none. */
  readonly columns?: Columns;
  /** Partitions the table by day or month (UTC); default: a plain table. */
  readonly partition?: PartitionPeriod | undefined;
  /**
   * Precomputed sums for `summary()`, by user, API key, service and direction, and by at most 4
   * declared columns (text, bigint, integer, boolean or uuid). `true`: the built-in dimensions
   * only. Default `false`: `summary()` adds up the rows.
   *
   * The table then refuses UPDATE, DELETE and TRUNCATE, except by retention, and by its owner
   * between `nestjs-ledger rollup --pause` and `--rebuild`. Existing rollups stay in use until
   * `nestjs-ledger migrate --drop-rollups`.
   */
  readonly rollup?: boolean | { readonly dimensions?: readonly (keyof Given<Columns> & string)[] };
  /**
   * `true`: a trigger refuses UPDATE, DELETE and TRUNCATE on the table for every role. It fires
   * once per statement, never for INSERT or COPY. Migrations only add the trigger; removing it is
   * up to you.
   */
  readonly immutable?: boolean;
  /**
   * `true`: another ledger of the application may write to this table, if its definition says so too.
   * Reads of each then see the entries of both. Default `false`: the boot fails.
   */
  readonly shared?: boolean;
  /**
   * `v7`: every uuid is a UUIDv7, for tables that refuse others (a TimescaleDB hypertable by uuid).
   * A caller's uuid must then be a UUIDv7 too. Idempotency keys are not available, because a key
   * contains no time. Default: any uuid.
   */
  readonly uuids?: 'v7' | undefined;
  /**
   * Indexed fields for `listRecent`, `summary` and `report`, each once: `userId`, `apiKeyId`,
   * `serviceId`, or a declared column of type bigint, integer, boolean, uuid or timestamptz. Each
   * adds an index of the field and `createdAt`, which costs the server nearly as much as the row
   * itself. Reads by any other field scan all entries of the period, and the first such read logs a
   * warning.
   *
   * Default: `['userId']`, and with `rollup` `['userId', 'apiKeyId']`; `rollup` needs `userId`.
   * `[]`: none, for a ledger that is never read. On a table above 32 MiB, `nestjs-ledger migrate`
   * creates a new index while writers continue. An index that is no longer listed stays until
   * `nestjs-ledger migrate --drop-indexes`.
   */
  readonly indexes?: readonly (
    'userId' | 'apiKeyId' | 'serviceId' | (keyof Given<Columns> & string)
  )[];
}

/**
 * The definition of a ledger. It types the entries, creates the table and serves as the injection
 * key. Deep frozen.
 *
 * @publicApi
 */
export interface LedgerDefinition<
  Ids extends IdType = IdType,
  Columns extends DeclaredColumns = DeclaredColumns,
> extends LedgerTable<Ids, Columns> {
  /** For the application's own queries: `dataSource.getRepository(usage.entity)`. */
  readonly entity: EntitySchema<UsageEntryRow<LedgerTable<Ids, Columns>>>;
  /**
   * For the `migrations` of a TypeORM DataSource, in order; frozen. They cover the table, its dead
   * letters, the rollups and `immutable`, with one migration for each declared column, so a column
   * that is declared later is a new migration. Later versions of this package add more.
   */
  readonly migrations: MigrationConstructor[];
}

/**
 * Type of a definition with partitions: an entry with an `idempotencyKey` needs `createdAt` too.
 */
type PartitionedBy<Period> = [Period] extends [PartitionPeriod]
  ? { readonly partition: Period }
  : unknown;

/** Type of a definition with UUIDv7 only: entries have no `idempotencyKey`. */
type UuidsOf<Uuids> = [Uuids] extends ['v7'] ? { readonly uuids: Uuids } : unknown;

/**
 * Defines a ledger. The definition is checked and frozen. Does not touch a database.
 *
 * @throws LedgerDefinitionError with all faults at once
 * @publicApi
 */
export function defineLedger<
  const Ids extends IdType = 'bigint',
  const Columns extends DeclaredColumns = {},
  const Period extends PartitionPeriod | undefined = PartitionPeriod | undefined,
  const Uuids extends 'v7' | undefined = 'v7' | undefined,
>(
  options: DefinitionOptions<Ids, Columns> & {
    readonly partition?: Period;
    readonly uuids?: Uuids;
  } = {},
): LedgerDefinition<Ids, Columns> & PartitionedBy<Period> & UuidsOf<Uuids> {
  const faults = checkDefinition(options);
  if (faults.length > 0) throw new LedgerDefinitionError(faults);
  const table: LedgerTable<Ids, Columns> = {
    name: options.name ?? DEFAULT_TABLE.name,
    schema: options.schema,
    table: options.table ?? DEFAULT_TABLE.table,
    ids: options.ids ?? ('bigint' as Ids),
    // A copy, because the caller's object must not be frozen.
    columns: Object.freeze({ ...options.columns }) as Columns,
    ...(options.partition === undefined ? {} : { partition: options.partition }),
    rollup: dimensionsOf(options.rollup),
    immutable: options.immutable ?? false,
    shared: options.shared ?? false,
    ...(options.uuids === undefined ? {} : { uuids: options.uuids }),
    ...(options.indexes === undefined ? {} : { indexes: Object.freeze([...options.indexes]) }),
  };
  return completeDefinition(table) as LedgerDefinition<Ids, Columns> &
    PartitionedBy<Period> &
    UuidsOf<Uuids>;
}

/**
 * Adds entity and migrations to a checked definition of this or another copy of the package.
 *
 * @internal
 */
export function completeDefinition<Ids extends IdType, Columns extends DeclaredColumns>(
  table: LedgerTable<Ids, Columns>,
): LedgerDefinition<Ids, Columns> {
  return Object.freeze({
    ...table,
    entity: usageEntryEntity(table),
    migrations: Object.freeze(ledgerMigrations(table, tableExtensions)) as MigrationConstructor[],
  });
}

function dimensionsOf(
  rollup: boolean | { readonly dimensions?: readonly string[] } = false,
): readonly string[] | false {
  if (rollup === false) return false;
  return Object.freeze(rollup === true ? [] : [...(rollup.dimensions ?? [])]);
}

/** The ledger of an application that defines none: bigint ids, no additional columns. @publicApi */
export const defaultLedger: LedgerDefinition<'bigint', {}> = defineLedger();
