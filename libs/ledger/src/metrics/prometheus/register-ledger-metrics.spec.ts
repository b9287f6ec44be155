import { AggregatorRegistry, Counter, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { ledgerUnderTest, start, type LedgerUnderTest } from '../../testing/ledger-under-test.js';
import type { LedgerOptions } from '../../config/ledger-options.interface.js';
import { metered, readMetrics } from '../fixtures/metered.fixture.js';
import { registerLedgerMetrics } from './register-ledger-metrics.js';

async function running(options: LedgerOptions = {}): Promise<LedgerUnderTest> {
  const test = ledgerUnderTest(options);
  await start(test);
  return test;
}

function offer(test: LedgerUnderTest, count: number): void {
  for (let i = 0; i < count; i++) test.ledger.intake.offer({ userId: 1 });
}

describe('registerLedgerMetrics for Prometheus', () => {
  it('has every metric of the ledger at 0 at the start', async () => {
    const registry = new Registry();
    registerLedgerMetrics(registry, metered(ledgerUnderTest()));
    const read = await readMetrics(registry);
    const names = new Set([...read.keys()].map((series) => series.replace(/\{.*/, '')));
    expect([...names].sort()).toEqual([
      'ledger_batch_entries_bucket',
      'ledger_batch_entries_count',
      'ledger_batch_entries_sum',
      'ledger_batches_total',
      'ledger_channel_bytes',
      'ledger_channel_capacity',
      'ledger_channel_depth',
      'ledger_entries_total',
      'ledger_flush_duration_seconds_bucket',
      'ledger_flush_duration_seconds_count',
      'ledger_flush_duration_seconds_sum',
      'ledger_in_flight_entries',
      'ledger_journal_bytes',
      'ledger_journal_damaged_files',
      'ledger_journal_degraded',
      'ledger_journal_earlier_bytes',
      'ledger_journal_torn_files',
      'ledger_journal_unsynced_entries',
      'ledger_not_stored_total',
      'ledger_oldest_entry_age_seconds',
      'ledger_renewed_uuids_total',
      'ledger_retries_total',
      'ledger_saturation_ratio',
      'ledger_state',
      'ledger_unknown_fields_total',
      'ledger_waiting_callers',
      'ledger_workers',
    ]);
    const set = [...read].filter(([, value]) => value !== 0);
    expect(set).toEqual([
      ['ledger_channel_capacity{ledger="default"}', 10_000],
      ['ledger_workers{ledger="default",state="idle"}', 1],
      ['ledger_state{ledger="default",state="starting"}', 1],
    ]);
  });

  it('has the figures of auto, if something is auto', async () => {
    const registry = new Registry();
    registerLedgerMetrics(registry, metered(await running({ profile: 'auto' })));
    const read = await readMetrics(registry);
    expect(read.get('ledger_auto_delay_seconds{ledger="default"}')).toBe(0.025);
    expect(read.get('ledger_workers{ledger="default",state="idle"}')).toBe(2);
    expect(read.get('ledger_channel_capacity{ledger="default"}')).toBe(
      Math.floor(268_435_456 / 300),
    );
  });

  it('reads the ledger at the scrape, so that the conservation law adds up in each', async () => {
    const test = await running({ bufferSize: 10, batchSize: 2, flushMs: 60_000 });
    const registry = new Registry();
    registerLedgerMetrics(registry, metered(test));
    test.sink.hold();
    offer(test, 15);
    test.ledger.intake.offer({ userId: 0 });
    await test.clock.turn();
    const read = await readMetrics(registry);
    const of = (name: string): number => read.get(`ledger_${name}`) ?? Number.NaN;
    const outcome = (name: string): number =>
      of(`entries_total{ledger="default",outcome="${name}"}`);
    const own = '{ledger="default"}';
    expect(outcome('offered')).toBe(16);
    expect(outcome('dropped')).toBe(5);
    expect(of(`in_flight_entries${own}`)).toBe(2);
    expect(of(`channel_depth${own}`)).toBe(8);
    expect(of(`saturation_ratio${own}`)).toBe(0.8);
    expect(of(`workers{ledger="default",state="busy"}`)).toBe(1);
    expect(outcome('offered')).toBe(
      outcome('queued') +
        outcome('dropped') +
        outcome('sealed') +
        outcome('invalid') +
        of(`waiting_callers${own}`),
    );
    expect(outcome('queued')).toBe(
      outcome('written') +
        outcome('duplicate') +
        outcome('dead_lettered') +
        outcome('spilled') +
        of(`channel_depth${own}`) +
        of(`in_flight_entries${own}`),
    );
  });

  it('feeds the histograms once a flush, and counts batches and retries by kind', async () => {
    const test = await running({ batchSize: 100, flushMs: 50, retryMinMs: 10, retryMaxMs: 10 });
    const registry = new Registry();
    registerLedgerMetrics(registry, metered(test));
    test.sink.failNext({ kind: 'transient', sqlState: '53300' });
    offer(test, 130);
    await test.clock.advance(1000);
    const read = await readMetrics(registry);
    const own = '{ledger="default"}';
    expect(read.get(`ledger_batch_entries_count${own}`)).toBe(2);
    expect(read.get(`ledger_batch_entries_sum${own}`)).toBe(130);
    expect(read.get('ledger_batch_entries_bucket{le="50",ledger="default"}')).toBe(1);
    expect(read.get('ledger_batch_entries_bucket{le="100",ledger="default"}')).toBe(2);
    expect(read.get(`ledger_flush_duration_seconds_count${own}`)).toBe(2);
    expect(read.get('ledger_batches_total{ledger="default",due="full"}')).toBe(1);
    expect(read.get('ledger_batches_total{ledger="default",due="old"}')).toBe(1);
    const tooMany = 'ledger_retries_total{ledger="default",class="too_many_connections"}';
    expect(read.get(tooMany)).toBe(1);
  });

  it('may be called twice: nothing counts double and nothing is reset', async () => {
    const test = await running({ batchSize: 1 });
    const ledger = metered(test);
    const registry = new Registry();
    registerLedgerMetrics(registry, ledger);
    offer(test, 2);
    await test.clock.turn();
    registerLedgerMetrics(registry, ledger);
    offer(test, 1);
    await test.clock.turn();
    const read = await readMetrics(registry);
    expect(read.get('ledger_flush_duration_seconds_count{ledger="default"}')).toBe(3);
    expect(read.get('ledger_entries_total{ledger="default",outcome="written"}')).toBe(3);
  });

  it('distinguishes ledgers of one registry by their label', async () => {
    const [one, two] = [await running(), await running()];
    const registry = new Registry();
    registerLedgerMetrics(registry, metered(one, 'billing'));
    registerLedgerMetrics(registry, metered(two, 'billing'), { ledger: 'billing-2' });
    offer(one, 1);
    offer(two, 2);
    const read = await readMetrics(registry);
    expect(read.get('ledger_channel_depth{ledger="billing"}')).toBe(1);
    expect(read.get('ledger_channel_depth{ledger="billing-2"}')).toBe(2);
  });

  it('replaces a ledger with the same label, as after a restart', async () => {
    const [old, next] = [await running({ batchSize: 1 }), await running({ batchSize: 1 })];
    const registry = new Registry();
    const removeOld = registerLedgerMetrics(registry, metered(old));
    registerLedgerMetrics(registry, metered(next));
    removeOld();
    offer(old, 5);
    offer(next, 1);
    await Promise.all([old.clock.turn(), next.clock.turn()]);
    const read = await readMetrics(registry);
    expect(read.get('ledger_entries_total{ledger="default",outcome="offered"}')).toBe(1);
    expect(read.get('ledger_batch_entries_count{ledger="default"}')).toBe(1);
  });

  it('leaves nothing of a removed ledger', async () => {
    const test = await running({ batchSize: 1 });
    const registry = new Registry();
    const remove = registerLedgerMetrics(registry, metered(test));
    remove();
    remove();
    offer(test, 1);
    await test.clock.turn();
    expect([...(await readMetrics(registry)).keys()]).toEqual([]);
  });

  it('fills a registry again that was cleared', async () => {
    const registry = new Registry();
    const ledger = metered(ledgerUnderTest());
    registerLedgerMetrics(registry, ledger);
    registry.clear();
    registerLedgerMetrics(registry, ledger);
    expect((await readMetrics(registry)).has('ledger_channel_depth{ledger="default"}')).toBe(true);
  });

  it('refuses to write into a foreign metric of the same name', () => {
    const registry = new Registry();
    new Counter({ name: 'ledger_entries_total', help: 'not ours', registers: [registry] });
    const register = (): unknown => registerLedgerMetrics(registry, metered(ledgerUnderTest()));
    expect(register).toThrow("a metric 'ledger_entries_total' that is not a ledger's");
  });
});

/** The aggregation by prom-client's primary of its workers' answers, which are JSON. */
async function aggregated(ledgers: readonly LedgerUnderTest[]): Promise<Map<string, number>> {
  const answers = ledgers.map(async (test) => {
    const registry = new Registry();
    registerLedgerMetrics(registry, metered(test));
    return JSON.parse(JSON.stringify(await registry.getMetricsAsJSON())) as object[];
  });
  return readMetrics(AggregatorRegistry.aggregate(await Promise.all(answers)));
}

describe('metrics of several processes behind one page', () => {
  it('show the saturation of the fullest channel, and the entries in all of them', async () => {
    const options = { bufferSize: 10, batchSize: 10, flushMs: 60_000 };
    const ledgers = await Promise.all([1, 2, 3, 4].map(() => running(options)));
    for (const [index, test] of ledgers.entries()) offer(test, index + 3);
    const read = await aggregated(ledgers);
    const of = (name: string): number => read.get(`ledger_${name}{ledger="default"}`) ?? Number.NaN;
    expect(of('saturation_ratio')).toBe(0.6);
    expect(of('channel_depth')).toBe(18);
    expect(of('channel_capacity')).toBe(40);
    expect(read.get('ledger_entries_total{ledger="default",outcome="queued"}')).toBe(18);
    expect(read.get('ledger_workers{ledger="default",state="idle"}')).toBe(4);
  });

  it('show the age of the oldest entry of any', async () => {
    const [young, old] = [await running({ flushMs: 60_000 }), await running({ flushMs: 60_000 })];
    offer(old, 1);
    await old.clock.advance(5000);
    offer(young, 1);
    await young.clock.advance(3000);
    const read = await aggregated([young, old]);
    expect(read.get('ledger_oldest_entry_age_seconds{ledger="default"}')).toBe(5);
  });

  it.each([1, 2, 4])('show 1 for a state that %i of four are in', async (halted) => {
    const ledgers = await Promise.all([1, 2, 3, 4].map(() => running({ batchSize: 1 })));
    for (const test of ledgers.slice(0, halted)) {
      test.sink.failNext({ kind: 'halt', sqlState: '42P01' });
      offer(test, 1);
      await test.clock.turn();
    }
    const read = await aggregated(ledgers);
    expect(read.get('ledger_state{ledger="default",state="halted"}')).toBe(1);
    expect(read.get('ledger_state{ledger="default",state="running"}')).toBe(halted < 4 ? 1 : 0);
    expect(read.get('ledger_state{ledger="default",state="sealed"}')).toBe(0);
  });

  it('add up flushes, bucket by bucket', async () => {
    const ledgers = await Promise.all([1, 2, 3].map(() => running({ batchSize: 1 })));
    const registries = ledgers.map((test) => {
      const registry = new Registry();
      registerLedgerMetrics(registry, metered(test));
      return registry;
    });
    for (const test of ledgers) {
      offer(test, 2);
      await test.clock.turn();
    }
    const answers = await Promise.all(registries.map((each) => each.getMetricsAsJSON()));
    const read = await readMetrics(AggregatorRegistry.aggregate(answers));
    expect(read.get('ledger_batch_entries_count{ledger="default"}')).toBe(6);
    expect(read.get('ledger_batch_entries_bucket{le="1",ledger="default"}')).toBe(6);
  });
});
