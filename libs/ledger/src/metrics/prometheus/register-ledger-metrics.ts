import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { FLUSH_HISTOGRAMS, type FlushHistogram } from '../flush-histograms.js';
import type { LedgerMetric } from '../ledger-metric.interface.js';
import { LEDGER_METRICS, type MeteredLedger } from '../ledger-metrics.js';
import { MeteredLedgers, type LedgerMetricsOptions } from '../metered-ledgers.js';

/**
 * The ledgers of a metric, stored on the metric itself. A cleared registry is therefore filled
 * again, and two copies of the package in one process share their metrics.
 */
const LEDGERS = Symbol.for('nestjs-ledger/prometheus');

type LedgerOwned<M> = M & { [LEDGERS]: MeteredLedgers };
type Metric = Counter | Gauge | Histogram;

/**
 * Registers the metrics of a ledger. They are read from `stats()` at a scrape, in one turn, so that
 * the terms of the conservation law add up in each scrape. Only the two histograms are updated in
 * between, once a flush. Several ledgers can share a registry; the label `ledger` distinguishes
 * them. Registering one again changes nothing; another with the same label replaces it. Under
 * prom-client's cluster registry amounts are added over the workers; saturation, age and state are
 * those of the worst worker.
 *
 * @param registry destination of the metrics; the ledger never uses prom-client's global one by
 *   itself
 * @returns removes this ledger; the metrics themselves stay
 * @throws Error if the registry has a metric of one of these names that is not a ledger's
 * @example
 * registerLedgerMetrics(registry, ledger);
 * const text = await registry.metrics();
 * @publicApi
 */
export function registerLedgerMetrics(
  registry: Registry,
  ledger: MeteredLedger,
  options: LedgerMetricsOptions = {},
): () => void {
  const label = options.ledger ?? ledger.name;
  const owners = LEDGER_METRICS.map((metric) => {
    const owned = obtain(registry, metric.name, (ledgers) => scraped(registry, metric, ledgers));
    owned[LEDGERS].add(label, ledger, () => undefined);
    return owned[LEDGERS];
  });
  const stops = FLUSH_HISTOGRAMS.map((described) => feed(registry, described, { label, ledger }));
  return () => {
    for (const ledgers of owners) ledgers.remove(label, ledger);
    for (const stop of stops) stop();
  };
}

function feed(
  registry: Registry,
  { name, help, buckets, of }: FlushHistogram,
  { label, ledger }: { label: string; ledger: MeteredLedger },
): () => void {
  const described = {
    name,
    help,
    buckets: [...buckets],
    labelNames: ['ledger' as const],
    aggregator: 'sum' as const,
  };
  const make = (): Histogram => new Histogram({ ...described, registers: [registry] });
  const histogram = obtain(registry, name, make) as LedgerOwned<Histogram>;
  const ledgers = histogram[LEDGERS];
  const labels = { ledger: label };
  if (!ledgers.has(label, ledger)) {
    // Begins at 0 from the start, so that a rate includes the first flush.
    histogram.zero(labels);
    ledgers.add(label, ledger, (flush) => histogram.observe(labels, of(flush)));
  }
  return () => {
    if (ledgers.remove(label, ledger)) histogram.remove(labels);
  };
}

/** The registry's metric of that name, or a new one. */
function obtain(
  registry: Registry,
  name: string,
  make: (ledgers: MeteredLedgers) => Metric,
): LedgerOwned<Metric> {
  const existing = registry.getSingleMetric(name);
  if (existing !== undefined && isLedgerOwned(existing)) return existing;
  if (existing !== undefined) {
    throw new Error(`the registry has a metric '${name}' that is not a ledger's`);
  }
  const ledgers = new MeteredLedgers();
  return Object.assign(make(ledgers), { [LEDGERS]: ledgers });
}

function isLedgerOwned(metric: object): metric is LedgerOwned<Metric> {
  return LEDGERS in metric;
}

function scraped(registry: Registry, metric: LedgerMetric, ledgers: MeteredLedgers): Metric {
  const { name, help, label, kind, aggregator } = metric;
  const labelNames = label === undefined ? ['ledger'] : ['ledger', label];
  const common = { name, help, labelNames, aggregator, registers: [registry] };
  const readInto = (set: (labels: Record<string, string>, value: number) => void): void => {
    for (const [name, ledger] of ledgers) {
      for (const [value, of] of metric.read(ledger.stats())) {
        const own = label === undefined || of === undefined ? {} : { [label]: of };
        set({ ledger: name, ...own }, value);
      }
    }
  };
  if (kind === 'gauge') {
    return new Gauge({
      ...common,
      collect() {
        this.reset();
        readInto((labels, value) => this.set(labels, value));
      },
    });
  }
  return new Counter({
    ...common,
    // The ledger counts itself: the counter is set to its value, which never falls within a run.
    collect() {
      this.reset();
      readInto((labels, value) => this.inc(labels, value));
    },
  });
}
