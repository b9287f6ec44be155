import type { SummaryFilter } from './summary-filter.interface.js';

/** Sums of entries, as decimal texts. */
export interface SummarySums {
  readonly consumed: string;
  readonly supplied: string;
  readonly entries: string;
}

/** A source of sums that need not add up all rows. */
export interface SummarySource {
  /**
   * The sums over the entries that the filter selects, exact and from one snapshot.
   *
   * @param timeoutMs for all of it, waiting for a connection included
   * @returns undefined if it does not know them; the caller then adds up the rows
   * @throws LedgerReadError `timeout` or `failed`
   */
  read(filter: SummaryFilter, timeoutMs: number): Promise<SummarySums | undefined>;
}
