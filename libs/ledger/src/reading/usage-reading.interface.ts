import type { LedgerTable } from '../entry/ledger-definition.js';
import type {
  RecentPage,
  RecentQuery,
  SummaryQuery,
  UsageSummary,
} from './read-query.interface.js';

/** What reads a ledger back. @internal */
export interface UsageReading<T extends LedgerTable = LedgerTable> {
  summary(query: SummaryQuery<T>): Promise<UsageSummary>;
  listRecent(query: RecentQuery<T>): Promise<RecentPage<T>>;
}
