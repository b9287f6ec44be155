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
 * What reads a ledger back. With a sink of your own, give one (`reader: myReader`) that reads where the
 * sink writes. Queries come as the caller gave them: check them, and reject with `LedgerReadError`.
 *
 * @publicApi
 */
export interface UsageReading<T extends LedgerTable = LedgerTable> {
  /** Sums over the entries that meet every field given. */
  summary(query: SummaryQuery<T>): Promise<UsageSummary>;
  /** One page of a user's entries, newest first. */
  listRecent(query: RecentQuery<T>): Promise<RecentPage<T>>;
  /** Sums by the dimensions of `groupBy`, in their order; reads nothing before the first row is asked for. */
  report(query: ReportQuery<T>): AsyncGenerator<ReportRow, void, undefined>;
  /** The entry with this uuid, if it is written; rejects as the other reads. */
  find(uuid: string): Promise<RecentEntry<T> | undefined>;
}
