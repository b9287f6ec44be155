import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type MetricData,
} from '@opentelemetry/sdk-metrics';
import { afterEach, describe, expect, it } from 'vitest';
import { metered } from '../fixtures/metered.fixture.js';
import { LEDGER_METRICS } from '../ledger-metrics.js';
import type { LedgerStats, StreamStats } from '../../ports/ledger-stats.interface.js';
import { ledgerUnderTest, start, type LedgerUnderTest } from '../../testing/ledger-under-test.js';
import { registerLedgerMetrics } from './register-ledger-metrics.js';

/** Longer than any test, so that only `collect` exports. */
const NEVER_MS = 1_000_000;

let provider: MeterProvider | undefined;
afterEach(() => provider?.shutdown());

function sdk() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: NEVER_MS });
  provider = new MeterProvider({ readers: [reader] });
  const meter = provider.getMeter('nestjs-ledger');
  const collect = async (): Promise<Map<string, MetricData>> => {
    const { resourceMetrics, errors } = await reader.collect();
    expect(errors).toEqual([]);
    const all = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
    return new Map(all.map((metric) => [metric.descriptor.name, metric]));
  };
  return { meter, collect };
}

/** Metrics of a stream are absent without one. */
const STREAM: StreamStats = {
  ...{ role: 'writer', published: 1, publishedBytes: 2, publishMs: 3 },
  ...{ unacknowledged: 4, redelivered: 5 },
  waiting: { messages: 6, bytes: 7, oldestAgeMs: 8, unread: 9, at: 10 },
};

function offer(test: LedgerUnderTest, count: number): void {
  for (let i = 0; i < count; i++) test.ledger.intake.offer({ userId: 1 });
}

function pointsOf(metric: MetricData | undefined): Record<string, unknown> {
  const points = metric?.dataPoints ?? [];
  return Object.fromEntries(
    points.map(({ attributes, value }) => [Object.values(attributes).join(' '), value]),
  );
}

describe('registerLedgerMetrics for OpenTelemetry', () => {
  it('has an instrument with unit and description for every metric', async () => {
    const { meter, collect } = sdk();
    const ledger = metered(ledgerUnderTest({ flushMs: 'auto' }));
    const stats = (): LedgerStats => ({ ...ledger.stats(), stream: STREAM });
    registerLedgerMetrics(meter, { ...ledger, stats });
    const collected = await collect();
    for (const { instrument, unit, help } of LEDGER_METRICS) {
      expect(collected.get(instrument)?.descriptor).toMatchObject({ unit, description: help });
    }
    expect(pointsOf(collected.get('ledger.state'))).toMatchObject({ 'default starting': 1 });
  });

  it('uses names from which an exporter derives those of Prometheus', () => {
    const suffixes: Record<string, string> = { s: '_seconds', '1': '_ratio' };
    for (const { instrument, unit, kind, name } of LEDGER_METRICS) {
      const made = instrument.replaceAll('.', '_') + (suffixes[unit] ?? '');
      expect(kind === 'counter' ? `${made}_total` : made).toBe(name);
    }
  });

  it('collects all figures of a ledger at one time, and histograms once a flush', async () => {
    const test = ledgerUnderTest({ batchSize: 100, flushMs: 50 });
    await start(test);
    const { meter, collect } = sdk();
    registerLedgerMetrics(meter, metered(test));
    offer(test, 130);
    await test.clock.advance(1000);
    offer(test, 7);
    const collected = await collect();
    const entries = pointsOf(collected.get('ledger.entries'));
    expect(entries).toMatchObject({
      'default offered': 137,
      'default queued': 137,
      'default written': 130,
    });
    expect(pointsOf(collected.get('ledger.channel.depth'))).toEqual({ default: 7 });
    expect(pointsOf(collected.get('ledger.batch_entries'))).toMatchObject({
      default: { count: 2, sum: 130, buckets: { boundaries: expect.arrayContaining([100]) } },
    });
    expect(pointsOf(collected.get('ledger.flush_duration'))).toMatchObject({
      default: { count: 2 },
    });
  });

  it('may be called twice, and distinguishes ledgers by their attribute', async () => {
    const [one, two] = [ledgerUnderTest({ batchSize: 1 }), ledgerUnderTest()];
    await start(one);
    const { meter, collect } = sdk();
    const ledger = metered(one, 'billing');
    registerLedgerMetrics(meter, ledger);
    registerLedgerMetrics(meter, ledger);
    const removeTwo = registerLedgerMetrics(meter, metered(two, 'audit'));
    offer(one, 1);
    offer(two, 2);
    await one.clock.turn();
    const collected = await collect();
    expect(pointsOf(collected.get('ledger.channel.depth'))).toEqual({ billing: 0, audit: 2 });
    expect(pointsOf(collected.get('ledger.batch_entries'))).toMatchObject({
      billing: { count: 1 },
    });
    removeTwo();
    offer(two, 5);
    const after = pointsOf((await collect()).get('ledger.channel.depth'));
    expect(after, 'the SDK keeps what it last heard').toEqual({ billing: 0, audit: 2 });
  });
});
