import type { LedgerStats } from '../ports/ledger-stats.interface.js';

/** A figure at one moment, and the value of the metric's own label if it has one. @internal */
export type Reading = readonly [value: number, label?: string];

/**
 * One metric that is read from `stats()`. Besides `ledger` it has one label at most, of a fixed set
 * of values, so its cardinality is bounded by the number of ledgers.
 *
 * @internal
 */
export interface LedgerMetric {
  /** As Prometheus has it. */
  readonly name: string;
  /** As OpenTelemetry has it: its exporters for Prometheus make `name` of it and of `unit`. */
  readonly instrument: string;
  /** UCUM, as OpenTelemetry wants it. */
  readonly unit: string;
  /** A counter only grows while the process runs. */
  readonly kind: 'counter' | 'gauge';
  /**
   * What prom-client makes of the values of several processes, as its cluster registry does:
   * amounts add up, a ratio or an age is that of the process that is worst off.
   */
  readonly aggregator: 'sum' | 'max';
  readonly help: string;
  readonly label?: string;
  readonly read: (stats: LedgerStats) => readonly Reading[];
}
