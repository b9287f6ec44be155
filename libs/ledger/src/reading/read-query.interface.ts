import type { LedgerTable } from '../entry/ledger-definition.js';
import type { IdInput, StoredEntry } from '../entry/usage-entry.interface.js';

/**
 * Which entries `summary()` adds up: those that meet every field given; without any, all of the
 * table. Fast by `userId` and by `apiKeyId`; by `serviceId` or period alone it reads the whole table.
 *
 * @publicApi
 */
export interface SummaryQuery<T extends LedgerTable = LedgerTable<'bigint', {}>> {
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
export interface RecentQuery<T extends LedgerTable = LedgerTable<'bigint', {}>> {
  readonly userId: IdInput<T['ids']>;
  /** Entries of one answer, 1 to 1000; default 50. */
  readonly limit?: number;
  /** `nextCursor` of the answer before; default: begin with the newest. */
  readonly cursor?: string;
}

/** An entry with the server's clock when it was written, ISO 8601. @publicApi */
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
