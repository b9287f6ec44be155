import { describe, expect, it } from 'vitest';
import { forecastChannel } from './forecast-channel.js';
import { RateMeter } from './rate-meter.js';

function counters(queued: number, written = 0) {
  return { queued, written, duplicate: 0, deadLettered: 0, spilled: 0 };
}

describe('RateMeter', () => {
  it('knows no rate at the first probe, and the rate of the span at the next', () => {
    const meter = new RateMeter();
    expect(meter.observe(5000, counters(100, 50))).toBeNull();
    expect(meter.observe(7000, counters(300, 100))).toEqual({ queued: 100, settled: 25 });
  });

  it('counts every way of being settled', () => {
    const meter = new RateMeter();
    meter.observe(0, counters(0));
    const all = { queued: 0, written: 1, duplicate: 2, deadLettered: 3, spilled: 4 };
    expect(meter.observe(1000, all)?.settled).toBe(10);
  });

  it('keeps the rates of the last span for probes less than a second later', () => {
    const meter = new RateMeter();
    meter.observe(0, counters(0));
    expect(meter.observe(999, counters(500))).toBeNull();
    const rates = meter.observe(1000, counters(1000));
    expect(rates).toEqual({ queued: 1000, settled: 0 });
    expect(meter.observe(1999, counters(9000))).toBe(rates);
    expect(meter.observe(2000, counters(1000))).toEqual({ queued: 0, settled: 0 });
  });

  it('takes the mean over more than a minute for no present rate', () => {
    const meter = new RateMeter();
    meter.observe(0, counters(0));
    expect(meter.observe(60_000, counters(60))).toEqual({ queued: 1, settled: 0 });
    expect(meter.observe(120_001, counters(60))).toBeNull();
    expect(meter.observe(121_001, counters(62))).toEqual({ queued: 2, settled: 0 });
  });
});

describe('forecastChannel', () => {
  const stats = { depth: 400, inFlight: 100, capacity: 1000, saturation: 0.4 };

  it('tells when a filling channel is full, and no drain', () => {
    const forecast = forecastChannel(stats, { queued: 450, settled: 150 });
    expect(forecast).toEqual({ timeToFullMs: 2000, drainEtaMs: null });
  });

  it('tells when an emptying channel is drained, entries in flight included', () => {
    const forecast = forecastChannel(stats, { queued: 100, settled: 350 });
    expect(forecast).toEqual({ timeToFullMs: null, drainEtaMs: 2000 });
  });

  it.each([[null], [{ queued: 7, settled: 7 }]])('tells neither at the rates %j', (rates) => {
    expect(forecastChannel(stats, rates)).toEqual({ timeToFullMs: null, drainEtaMs: null });
  });

  it('needs no rate for a full or an empty channel', () => {
    expect(forecastChannel({ ...stats, depth: 1000, saturation: 1 }, null).timeToFullMs).toBe(0);
    const empty = { ...stats, depth: 0, inFlight: 0, saturation: 0 };
    expect(forecastChannel(empty, null).drainEtaMs).toBe(0);
  });

  it('goes by bytes where they are met first', () => {
    const heavy = { ...stats, saturation: 0.5 };
    expect(forecastChannel(heavy, { queued: 250, settled: 0 }).timeToFullMs).toBe(2000);
  });
});
