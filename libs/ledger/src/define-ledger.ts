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
 * The same type, which infers nothing: a field that is named elsewhere would else count as declared.
 * TypeScript has `NoInfer` for it from 5.4 on.
 */
type Given<T> = [T][T extends unknown ? 0 : never];

/** What a ledger may be told to be; everything has a default. @publicApi */
export interface DefinitionOptions<
  Ids extends IdType = IdType,
  Columns extends DeclaredColumns = DeclaredColumns,
> {
  /**
   * 1 to 40 of a-z, 0-9, _ and -, beginning with a letter; default `default`. Two of one name fail an
   * application's boot.
   */
  readonly name?: string;
  /** At most 63 bytes, quoted wherever it is used; default: the connection's own schema. */
  readonly schema?: string;
  /**
   * At most 45 bytes, since names of indexes and of the table of dead letters are made from it;
   * quoted wherever it is used. Default `usage_entries`.
   */
  readonly table?: string;
  /** Type of `userId`, `apiKeyId` and `serviceId`; default `bigint`. */
  readonly ids?: Ids;
  /** Columns of the application's own by entry field, at most 16, nullable; default none. */
  readonly columns?: Columns;
  /** Makes a partitioned table, one partition for each day or month (UTC); default: a plain table. */
  readonly partition?: PartitionPeriod | undefined;
  /**
   * Sums that are kept ready for `summary()`: by user, API key, service and direction, and by the
   * declared columns that are named here (text, bigint, integer, boolean or uuid), at most 4. `true`:
   * the built-in ones. Default `false`: `summary()` adds up the rows.
   *
   * The table then refuses UPDATE, DELETE and TRUNCATE, except by retention, and by its owner between
   * `nestjs-ledger rollup --pause` and `--rebuild`. Rollups that the database has already stay in use
   * until `nestjs-ledger migrate --drop-rollups`.
   */
  readonly rollup?: boolean | { readonly dimensions?: readonly (keyof Given<Columns> & string)[] };
  /**
   * `true`: a trigger refuses UPDATE, DELETE and TRUNCATE on the table, whoever asks; it fires once a
   * statement, and never for an INSERT or COPY. Migrations only add: taking it back is yours to do.
   */
  readonly immutable?: boolean;
  /**
   * `true`: another ledger of the application may write to this table, if its definition says so too.
   * Reads of each then see the entries of both. Default `false`: the boot fails.
   */
  readonly shared?: boolean;
  /**
   * `v7`: every uuid is a UUIDv7, as a table needs that refuses others (a TimescaleDB hypertable by uuid).
   * Then a uuid of the caller must be one too, and there are no idempotency keys: a key has no time of
   * its own. Default: any uuid.
   */
  readonly uuids?: 'v7' | undefined;
  /**
   * Fields by which `listRecent`, `summary` and `report` find their rows, each once: `userId`, `apiKeyId`,
   * `serviceId`, or a declared column of type bigint, integer, boolean, uuid or timestamptz. Each is an
   * index of the field and `createdAt`, and costs the server nearly as much as the row itself.
   * Reads by any other field look through all entries of the period, and the first one logs a warning.
   *
   * Default: `['userId']`, and with `rollup` `['userId', 'apiKeyId']`; `rollup` needs `userId`. `[]`:
   * none, for a ledger that is only written. A table above 32 MiB gets a new index from
   * `nestjs-ledger migrate`, while writers go on. One that is not asked for any more stays until
   * `nestjs-ledger migrate --drop-indexes`.
   */
  readonly indexes?: readonly (
    'userId' | 'apiKeyId' | 'serviceId' | (keyof Given<Columns> & string)
  )[];
}

/**
 * What a ledger is: the one value that types entries, makes the table and is injected by. Deep
 * frozen.
 *
 * @publicApi
 */
export interface LedgerDefinition<
  Ids extends IdType = IdType,
  Columns extends DeclaredColumns = DeclaredColumns,
> extends LedgerTable<Ids, Columns> {
  /** For queries of the application's own: `dataSource.getRepository(usage.entity)`. */
  readonly entity: EntitySchema<UsageEntryRow<LedgerTable<Ids, Columns>>>;
  /**
   * For the `migrations` of a TypeORM DataSource, in order; frozen. Those of the table and of its dead
   * letters, one for each declared column, so that a column declared later is a new one, and those of
   * the rollups and of an `immutable` table. Later versions of this package add more.
   */
  readonly migrations: MigrationConstructor[];
}

/** Says of a definition that it has partitions: its entries give `createdAt` beside an `idempotencyKey`. */
type PartitionedBy<Period> = [Period] extends [PartitionPeriod]
  ? { readonly partition: Period }
  : unknown;

/** Says of a definition that all its uuids are UUIDv7: its entries have no `idempotencyKey`. */
type UuidsOf<Uuids> = [Uuids] extends ['v7'] ? { readonly uuids: Uuids } : unknown;

/**
 * Says what a ledger is, checked and frozen; it touches no database.
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
    // A copy, so that freezing it is no surprise to the caller.
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
 * Adds entity and migrations to a definition that was checked, by this copy of the package or another.
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

/** The ledger of an application that defines none: bigint ids, no columns of its own. @publicApi */
export const defaultLedger: LedgerDefinition<'bigint', {}> = defineLedger();
