import type { LastFlush } from '../ports/ledger-stats.interface.js';

/** A distribution that receives one value a flush. @internal */
export interface FlushHistogram {
  /** Its name in Prometheus. */
  readonly name: string;
  /** Its name in OpenTelemetry. */
  readonly instrument: string;
  /** UCUM. */
  readonly unit: string;
  readonly help: string;
  /** Upper bounds of the buckets, ascending; the last bucket has none. */
  readonly buckets: readonly number[];
  readonly of: (flush: LastFlush) => number;
}

/** The two distributions that no counter can represent. @internal */
export const FLUSH_HISTOGRAMS: readonly FlushHistogram[] = Object.freeze([
  {
    name: 'ledger_batch_entries',
    instrument: 'ledger.batch_entries',
    unit: '{entry}',
    help: 'Entries written by one flush, duplicates included',
    // The batch sizes of the guide's table are bounds, so that full batches are visible in every
    // profile.
    buckets: [1, 10, 50, 100, 250, 500, 1000, 2000, 5000, 10_000, 25_000, 100_000],
    of: ({ entries }) => entries,
  },
  {
    name: 'ledger_flush_duration_seconds',
    instrument: 'ledger.flush_duration',
    unit: 's',
    help: 'Time from an attempt at a batch to its commit',
    // 0.1 s is the guide's limit for a flush, 30 s the default of writeTimeoutMs.
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    of: ({ ms }) => ms / 1000,
  },
]);
