/** Type of `userId`, `apiKeyId` and `serviceId` in the table; `text` holds at most 256 bytes. @inline */
export type IdType = 'bigint' | 'uuid' | 'text';

/** PostgreSQL type of a column that the application declares. @inline */
export type ColumnType =
  'text' | 'bigint' | 'integer' | 'numeric' | 'boolean' | 'uuid' | 'timestamptz' | 'jsonb';

/** What one partition holds: a day or a month, in UTC. @inline */
export type PartitionPeriod = 'day' | 'month';

/** Declared columns by entry field (camel case); the table spells them in snake case. @publicApi */
export type DeclaredColumns = Readonly<Record<string, ColumnType>>;

/**
 * What a ledger is, apart from TypeORM: its name, its table and the types of its columns. Frozen;
 * names were checked by `defineLedger`.
 *
 * @publicApi
 */
export interface LedgerTable<
  Ids extends IdType = IdType,
  Columns extends DeclaredColumns = DeclaredColumns,
> {
  /** Tells ledgers of one application apart; `default` if not given. */
  readonly name: string;
  /** PostgreSQL schema, or undefined for the connection's own. */
  readonly schema: string | undefined;
  readonly table: string;
  readonly ids: Ids;
  /** At most 16, in the order of the declaration. */
  readonly columns: Columns;
  /** What one partition of the table holds; undefined for a plain table. */
  readonly partition?: PartitionPeriod | undefined;
  /**
   * Declared columns, by entry field, that rollups tell apart beside user, key, service and
   * direction; undefined or `false`: no rollups.
   */
  readonly rollup?: readonly string[] | false;
  /** True: the table refuses UPDATE, DELETE and TRUNCATE. */
  readonly immutable?: boolean;
  /** True: another ledger of the application may have the same table, if it says so too. */
  readonly shared?: boolean;
  /** `v7`: every uuid in the table is a UUIDv7. */
  readonly uuids?: 'v7' | undefined;
  /**
   * Fields by which reads find their rows, each an index with the time; undefined: `userId`, and with
   * rollups `apiKeyId` as well.
   */
  readonly indexes?: readonly string[] | undefined;
}

/** Bytes that a text id or an idempotency key may have in UTF-8. */
export const MAX_ID_BYTES = 256;
/** Bytes of `memo`, of `attributes` serialised, and of each declared text, numeric or jsonb value. */
export const MAX_TEXT_BYTES = 8192;
/** Declared columns of one ledger. */
export const MAX_COLUMNS = 16;
