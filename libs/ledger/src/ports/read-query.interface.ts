import type { DeclaredColumns, LedgerTable } from '../entry/ledger-definition.js';
import type {
  ColumnInput,
  Direction,
  IdInput,
  StoredEntry,
} from '../entry/usage-entry.interface.js';

/** What every read may be told. @publicApi */
export interface ReadOptions {
  /** Flush first, so that the answer holds all that this process recorded before. Default: false. */
  readonly fresh?: boolean;
}

/**
 * Conditions that an entry must meet, all of them: equal to the value, or without one for `null`.
 * `undefined` is refused, since a value that is missing by mistake would choose everybody's entries.
 *
 * @publicApi
 */
export type EntryFilter<T extends LedgerTable = LedgerTable<'bigint', {}>> = FilterFields<T> & {
  readonly [K in keyof T['columns']]?: ColumnInput<T['columns'][K]> | null;
};

/** Conditions on what every ledger's entries have. */
export interface FilterFields<T extends LedgerTable> {
  readonly userId?: IdInput<T['ids']>;
  readonly apiKeyId?: IdInput<T['ids']> | null;
  readonly serviceId?: IdInput<T['ids']> | null;
  readonly direction?: Direction;
}

/**
 * Which entries `summary()` adds up: those that meet every field given; without any, all of the
 * table. With rollups fast whatever the ledger holds, unless a declared column is given that is no
 * dimension of the definition's rollups, `direction`, or null: then all rows that match the rest are
 * read.
 *
 * @publicApi
 */
export type SummaryQuery<T extends LedgerTable = LedgerTable<'bigint', {}>> = SummaryFields<T> & {
  readonly [K in DimensionField<T['columns']>]?: ColumnInput<T['columns'][K]>;
};

/**
 * Declared columns that entries can be chosen by: of types whose values are simply equal or not.
 */
export type DimensionField<Columns extends DeclaredColumns> = {
  [K in keyof Columns]: Columns[K] extends 'numeric' | 'timestamptz' | 'jsonb' ? never : K;
}[keyof Columns];

/** What every ledger's summary can be asked for; all of it together if nothing is given. */
export interface SummaryFields<T extends LedgerTable> extends ReadOptions {
  readonly userId?: IdInput<T['ids']>;
  readonly apiKeyId?: IdInput<T['ids']>;
  readonly serviceId?: IdInput<T['ids']>;
  /** First moment of the period, by `createdAt`; default: since ever. */
  readonly from?: Date;
  /** First moment after the period; default: without end. */
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
 * Whose entries `listRecent()` answers with, and which page of them: those of a user, those that meet
 * `where`, or those that meet both. Those of a user are found by an index. For others make an index of
 * your own, as on `(tenant_id, created_at)`; without one all rows are read.
 *
 * @publicApi
 */
export type RecentQuery<T extends LedgerTable = LedgerTable<'bigint', {}>> = RecentPaging &
  (
    | { readonly userId: IdInput<T['ids']>; readonly where?: EntryFilter<T> | undefined }
    | { readonly userId?: undefined; readonly where: EntryFilter<T> }
  );

/** Which page `listRecent()` answers with. @inline */
export interface RecentPaging extends ReadOptions {
  /** Entries of one answer, 1 to 1000; default 50. */
  readonly limit?: number;
  /** `nextCursor` of the answer before; default: begin with the newest. */
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

/** One answer of `listRecent()`: plain JSON. @publicApi */
export interface RecentPage<T extends LedgerTable = LedgerTable<'bigint', {}>> {
  /** Newest first by `createdAt`, then `uuid`; may be empty. */
  readonly entries: RecentEntry<T>[];
  /** Give it back to read on; null after the last entry. */
  readonly nextCursor: string | null;
  /** This process's view when the read began, ISO 8601. */
  readonly asOf: string;
}
