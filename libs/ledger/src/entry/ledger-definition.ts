/** Type of `userId`, `apiKeyId` and `serviceId` in the table; `text` holds at most 256 bytes. @inline */
export type IdType = 'bigint' | 'uuid' | 'text';

/** PostgreSQL type of a column that the application declares. @inline */
export type ColumnType =
  'text' | 'bigint' | 'integer' | 'numeric' | 'boolean' | 'uuid' | 'timestamptz' | 'jsonb';

/** What one partition holds: a day or a month, in UTC. @inline */
export type PartitionPeriod = 'day' | 'month';

/** Declared columns by entry field (camel case); the table uses snake case. @publicApi */
export type DeclaredColumns = Readonly<Record<string, ColumnType>>;

/**
 * The definition of a ledger without TypeORM: its name, its table and the types of its columns.
 * Frozen, with names checked by `defineLedger`.
 *
 * @publicApi
 */
export interface LedgerTable<
  Ids extends IdType = IdType,
  Columns extends DeclaredColumns = DeclaredColumns,
> {
  /** Identifies the ledger within an application; default `default`. */
  readonly name: string;
  /** PostgreSQL schema, or undefined for the connection's own. */
  readonly schema: string | undefined;
  readonly table: string;
  readonly ids: Ids;
  /** At most 16, in the order of the declaration. */
  readonly columns: Columns;
  /** Period of one partition of the table; undefined for a plain table. */
  readonly partition?: PartitionPeriod | undefined;
  /**
   * Declared columns, by entry field, that are dimensions of the rollups besides user, key, service
   * and direction; undefined or `false`: no rollups.
   */
  readonly rollup?: readonly string[] | false;
  /** True: the table refuses UPDATE, DELETE and TRUNCATE. */
  readonly immutable?: boolean;
  /**
   * True: another ledger of the application may use the same table if its definition is `shared`
   * too.
   */
  readonly shared?: boolean;
  /** `v7`: every uuid in the table is a UUIDv7. */
  readonly uuids?: 'v7' | undefined;
  /**
   * Indexed fields, each together with the time; undefined: `userId`, and with rollups `apiKeyId`
   * as well.
   */
  readonly indexes?: readonly string[] | undefined;
}

/** Maximum bytes of a text id or an idempotency key in UTF-8. */
export const MAX_ID_BYTES = 256;
/**
 * Maximum bytes of `memo`, of serialised `attributes`, and of each declared text, numeric or jsonb
 * value.
 */
export const MAX_TEXT_BYTES = 8192;
/** Declared columns of one ledger. */
export const MAX_COLUMNS = 16;
