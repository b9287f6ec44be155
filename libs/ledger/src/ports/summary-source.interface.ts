import type { SummaryFilter } from './summary-filter.interface.js';

/** Sums of entries, as decimal texts. */
export interface SummarySums {
  readonly consumed: string;
  readonly supplied: string;
  readonly entries: string;
}

/** Something that knows sums without adding up all rows. */
export interface SummarySource {
  /**
   * The sums over the entries that the filter chooses, exact and from one snapshot.
   *
   * @param timeoutMs for all of it, waiting for a connection included
   * @returns undefined if it can't tell: then the rows are to be added up
   * @throws LedgerReadError `timeout` or `failed`
   */
  read(filter: SummaryFilter, timeoutMs: number): Promise<SummarySums | undefined>;
}
