import type { DeclaredColumns, LedgerTable } from '../entry/ledger-definition.js';
import type {
  ColumnInput,
  Direction,
  IdInput,
  StoredEntry,
} from '../entry/usage-entry.interface.js';

/** Options of every read. @publicApi */
export interface ReadOptions {
  /**
   * Flushes first, so that the result includes every entry that this process recorded before.
   * Default: false.
   */
  readonly fresh?: boolean;
}

/**
 * Conditions that must all hold: the field equals the value, or is NULL for `null`. `undefined` is
 * refused, because a value that is missing by mistake would select the entries of all users.
 *
 * @publicApi
 */
export type EntryFilter<T extends LedgerTable = LedgerTable<'bigint', {}>> = FilterFields<T> & {
  readonly [K in keyof T['columns']]?: ColumnInput<T['columns'][K]> | null;
};

/** Conditions on the built-in fields. */
export interface FilterFields<T extends LedgerTable> {
  readonly userId?: IdInput<T['ids']>;
  readonly apiKeyId?: IdInput<T['ids']> | null;
  readonly serviceId?: IdInput<T['ids']> | null;
  readonly direction?: Direction;
}

/**
 * The entries that `summary()` adds up: those that match every given field, or the whole table if
 * no field is given. With rollups the time does not depend on the number of entries. Exceptions are
 * a declared column that is not a dimension of the rollups, `direction`, and null: then all rows
 * that match the other fields are read.
 *
 * @publicApi
 */
export type SummaryQuery<T extends LedgerTable = LedgerTable<'bigint', {}>> = SummaryFields<T> & {
  readonly [K in DimensionField<T['columns']>]?: ColumnInput<T['columns'][K]>;
};

/**
 * Declared columns that can be conditions: those of types with simple equality.
 */
export type DimensionField<Columns extends DeclaredColumns> = {
  [K in keyof Columns]: Columns[K] extends 'numeric' | 'timestamptz' | 'jsonb' ? never : K;
}[keyof Columns];

/** Built-in fields of a summary's query; without any, the whole ledger is summed. */
export interface SummaryFields<T extends LedgerTable> extends ReadOptions {
  readonly userId?: IdInput<T['ids']>;
  readonly apiKeyId?: IdInput<T['ids']>;
  readonly serviceId?: IdInput<T['ids']>;
  /** First moment of the period, by `createdAt`; default: no lower bound. */
  readonly from?: Date;
  /** First moment after the period; default: no upper bound. */
  readonly to?: Date;
  /** Further conditions, by any column. */
  readonly where?: EntryFilter<T> | undefined;
}

/** Sums of prompt and completion tokens, corrections included; each exact. @publicApi */
export interface UsageSummary {
  readonly consumedTokens: number;
  readonly suppliedTokens: number;
  /** `suppliedTokens - consumedTokens`. */
  readonly netTokens: number;
  readonly entries: number;
  /** This process's view when the read began, ISO 8601. */
  readonly asOf: string;
}

/**
 * The query of `listRecent()`: entries of a user, entries that match `where`, or both, and the
 * page. An index finds the entries of a user. For other conditions name the field in `indexes`, or
 * create an index such as `(tenant_id, created_at)`; without one, all rows are read.
 *
 * @publicApi
 */
export type RecentQuery<T extends LedgerTable = LedgerTable<'bigint', {}>> = RecentPaging &
  (
    | { readonly userId: IdInput<T['ids']>; readonly where?: EntryFilter<T> | undefined }
    | { readonly userId?: undefined; readonly where: EntryFilter<T> }
  );

/** The page that `listRecent()` returns. @inline */
export interface RecentPaging extends ReadOptions {
  /** Entries of one page, 1 to 1000; default 50. */
  readonly limit?: number;
  /** `nextCursor` of the previous page; default: begins with the newest entry. */
  readonly cursor?: string;
}

/**
 * An entry, and the server's clock at the beginning of the transaction that wrote it, ISO 8601.
 *
 * @publicApi
 */
export type RecentEntry<T extends LedgerTable = LedgerTable<'bigint', {}>> = StoredEntry<T> & {
  writtenAt: string;
};

/** One page of `listRecent()`: plain JSON. @publicApi */
export interface RecentPage<T extends LedgerTable = LedgerTable<'bigint', {}>> {
  /** Newest first by `createdAt`, then `uuid`; may be empty. */
  readonly entries: RecentEntry<T>[];
  /** Pass it as `cursor` to get the next page; null after the last entry. */
  readonly nextCursor: string | null;
  /** This process's view when the read began, ISO 8601. */
  readonly asOf: string;
}
