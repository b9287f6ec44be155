import type { Histogram, Meter, Observable } from '@opentelemetry/api';
import { FLUSH_HISTOGRAMS } from '../flush-histograms.js';
import type { LedgerMetric } from '../ledger-metric.interface.js';
import { LEDGER_METRICS, type MeteredLedger } from '../ledger-metrics.js';
import { MeteredLedgers, type LedgerMetricsOptions } from '../metered-ledgers.js';
import type { FlushListener } from '../../writer/batch-writer.js';

interface Instruments {
  readonly ledgers: MeteredLedgers;
  readonly feed: (name: string) => FlushListener;
}

/** A meter has each instrument once, for any number of ledgers. */
const instrumentsOf = new WeakMap<Meter, Instruments>();

/**
 * Registers the instruments of a ledger with a meter. They are read from `stats()` when they are
 * collected, all from one snapshot. Only the two histograms are updated in between, once a flush.
 * Several ledgers can share a meter; the attribute `ledger` distinguishes them. Registering one
 * again changes nothing; another with the same label replaces it.
 *
 * Names follow OpenTelemetry (`ledger.entries`). Its exporters for Prometheus derive the names of
 * `nestjs-ledger/prometheus` from them, so dashboards and alerts fit both.
 *
 * @returns removes this ledger; the instruments stay with the meter, and the SDK may continue to
 *   export the last figures
 * @example
 * registerLedgerMetrics(metrics.getMeter('nestjs-ledger'), ledger);
 * @publicApi
 */
export function registerLedgerMetrics(
  meter: Meter,
  ledger: MeteredLedger,
  options: LedgerMetricsOptions = {},
): () => void {
  const label = options.ledger ?? ledger.name;
  const { ledgers, feed } = instrumentsOf.get(meter) ?? create(meter);
  ledgers.add(label, ledger, feed(label));
  return () => void ledgers.remove(label, ledger);
}

function create(meter: Meter): Instruments {
  const ledgers = new MeteredLedgers();
  const observed = LEDGER_METRICS.map((metric) => [metric, observable(meter, metric)] as const);
  meter.addBatchObservableCallback(
    (result) => {
      for (const [name, ledger] of ledgers) {
        const stats = ledger.stats();
        for (const [metric, instrument] of observed) {
          for (const [value, of] of metric.read(stats)) {
            const own = metric.label === undefined ? {} : { [metric.label]: of };
            result.observe(instrument, value, { ledger: name, ...own });
          }
        }
      }
    },
    observed.map(([, instrument]) => instrument),
  );
  const histograms = FLUSH_HISTOGRAMS.map(({ instrument, unit, help, buckets, of }) => {
    const advice = { explicitBucketBoundaries: [...buckets] };
    return [meter.createHistogram(instrument, { unit, description: help, advice }), of] as const;
  });
  const instruments = { ledgers, feed: (name: string) => feedOf(histograms, { ledger: name }) };
  instrumentsOf.set(meter, instruments);
  return instruments;
}

function observable(meter: Meter, metric: LedgerMetric): Observable {
  const { instrument, unit, help, kind } = metric;
  const options = { unit, description: help };
  return kind === 'counter'
    ? meter.createObservableCounter(instrument, options)
    : meter.createObservableGauge(instrument, options);
}

type Fed = readonly (readonly [Histogram, (typeof FLUSH_HISTOGRAMS)[number]['of']])[];

function feedOf(histograms: Fed, attributes: { ledger: string }): FlushListener {
  return (flush) => {
    for (const [histogram, of] of histograms) histogram.record(of(flush), attributes);
  };
}
