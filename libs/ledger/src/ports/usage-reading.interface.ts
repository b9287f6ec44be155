import type { LedgerTable } from '../entry/ledger-definition.js';
import type {
  RecentEntry,
  RecentPage,
  RecentQuery,
  SummaryQuery,
  UsageSummary,
} from './read-query.interface.js';
import type { ReportQuery, ReportRow } from './report-query.interface.js';

/**
 * Reads the entries of a ledger. With your own sink, pass a reader of the same store (`reader:
 * myReader`). Queries are not checked before: check them, and reject with `LedgerReadError`.
 *
 * @publicApi
 */
export interface UsageReading<T extends LedgerTable = LedgerTable> {
  /** Sums over the entries that match every given field. */
  summary(query: SummaryQuery<T>): Promise<UsageSummary>;
  /** One page of a user's entries, newest first. */
  listRecent(query: RecentQuery<T>): Promise<RecentPage<T>>;
  /**
   * Sums by the dimensions of `groupBy`, in their order; reads nothing before the first row is
   * requested.
   */
  report(query: ReportQuery<T>): AsyncGenerator<ReportRow, void, undefined>;
  /** The entry with this uuid, if it is written; rejects like the other reads. */
  find(uuid: string): Promise<RecentEntry<T> | undefined>;
}
