import type { DeclaredColumns, LedgerTable } from '../entry/ledger-definition.js';
import type { ColumnInput, IdInput, StoredEntry } from '../entry/usage-entry.interface.js';

/** What every read may be told. @publicApi */
export interface ReadOptions {
  /** Flush first, so that the answer holds all that this process recorded before. Default: false. */
  readonly fresh?: boolean;
}

/**
 * Which entries `summary()` adds up: those that meet every field given; without any, all of the
 * table. Fast whatever the ledger holds, unless a declared column is given that is no dimension of
 * the definition's rollups: then all rows that match the rest are read.
 *
 * @publicApi
 */
export type SummaryQuery<T extends LedgerTable = LedgerTable<'bigint', {}>> = SummaryFields<T> & {
  readonly [K in DimensionField<T['columns']>]?: ColumnInput<T['columns'][K]>;
};

/**
 * Declared columns that entries can be chosen by: of types whose values are simply equal or not.
 *
 * @publicApi
 */
export type DimensionField<Columns extends DeclaredColumns> = {
  [K in keyof Columns]: Columns[K] extends 'numeric' | 'timestamptz' | 'jsonb' ? never : K;
}[keyof Columns];

/** What every ledger's summary can be asked for; all of it together if nothing is given. @publicApi */
export interface SummaryFields<T extends LedgerTable> extends ReadOptions {
  readonly userId?: IdInput<T['ids']>;
  readonly apiKeyId?: IdInput<T['ids']>;
  readonly serviceId?: IdInput<T['ids']>;
  /** First moment of the period, by `createdAt`; default: since ever. */
  readonly from?: Date;
  /** First moment after the period; default: without end. */
  readonly to?: Date;
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

/** Whose entries `listRecent()` answers with, and which page of them. @publicApi */
export interface RecentQuery<
  T extends LedgerTable = LedgerTable<'bigint', {}>,
> extends ReadOptions {
  readonly userId: IdInput<T['ids']>;
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
