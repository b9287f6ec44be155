import type { LedgerStats } from '../ports/ledger-stats.interface.js';

/** A figure at one time, and the value of the metric's own label if it has one. @internal */
export type Reading = readonly [value: number, label?: string];

/**
 * One metric read from `stats()`. In addition to `ledger` it has at most one label, with a fixed
 * set of values, so the number of ledgers bounds its cardinality.
 *
 * @internal
 */
export interface LedgerMetric {
  /** Its name in Prometheus. */
  readonly name: string;
  /**
   * Its name in OpenTelemetry, from which with `unit` its exporters for Prometheus derive `name`.
   */
  readonly instrument: string;
  /** UCUM, as required by OpenTelemetry. */
  readonly unit: string;
  /** A counter only grows while the process runs. */
  readonly kind: 'counter' | 'gauge';
  /**
   * How prom-client combines the values of several processes, as in its cluster registry: amounts
   * are added; of ratios and ages the worst process counts.
   */
  readonly aggregator: 'sum' | 'max';
  readonly help: string;
  readonly label?: string;
  readonly read: (stats: LedgerStats) => readonly Reading[];
}
