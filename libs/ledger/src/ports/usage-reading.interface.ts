import type { LedgerTable } from '../entry/ledger-definition.js';
import type {
  RecentEntry,
  RecentPage,
  RecentQuery,
  SummaryQuery,
  UsageSummary,
} from './read-query.interface.js';
import type { ReportRow } from './report-query.interface.js';

/** What reads a ledger back. @internal */
export interface UsageReading<T extends LedgerTable = LedgerTable> {
  summary(query: SummaryQuery<T>): Promise<UsageSummary>;
  listRecent(query: RecentQuery<T>): Promise<RecentPage<T>>;
  /** @param query a `ReportQuery` of the definition */
  report(query: object): AsyncGenerator<ReportRow, void, undefined>;
  /** The entry with this uuid, if it is written; rejects as the other reads. */
  find(uuid: string): Promise<RecentEntry<T> | undefined>;
}
