import { describe, expect, it } from 'vitest';
import { RateMeter } from './rate-meter.js';

function counters(queued: number, written = 0) {
  return {
    queued,
    recovered: 0,
    received: 0,
    written,
    published: 0,
    duplicate: 0,
    deadLettered: 0,
    spilled: 0,
  };
}

describe('RateMeter', () => {
  it('knows no rate at the first probe, and the rate of the span at the next', () => {
    const meter = new RateMeter();
    expect(meter.observe(5000, counters(100, 50))).toBeNull();
    expect(meter.observe(7000, counters(300, 100))).toEqual({ taken: 100, settled: 25 });
  });

  it('counts rows of earlier runs and of a stream as taken, because they are settled too', () => {
    const meter = new RateMeter();
    meter.observe(0, counters(0));
    const all = { ...counters(1000, 4000), recovered: 3000, received: 500 };
    expect(meter.observe(1000, all)).toEqual({ taken: 4500, settled: 4000 });
  });

  it('counts every way of being settled', () => {
    const meter = new RateMeter();
    meter.observe(0, counters(0));
    const all = {
      ...counters(0),
      written: 1,
      published: 5,
      duplicate: 2,
      deadLettered: 3,
      spilled: 4,
    };
    expect(meter.observe(1000, all)?.settled).toBe(15);
  });

  it('keeps the rates of the last span for probes less than a second later', () => {
    const meter = new RateMeter();
    meter.observe(0, counters(0));
    expect(meter.observe(999, counters(500))).toBeNull();
    const rates = meter.observe(1000, counters(1000));
    expect(rates).toEqual({ taken: 1000, settled: 0 });
    expect(meter.observe(1999, counters(9000))).toBe(rates);
    expect(meter.observe(2000, counters(1000))).toEqual({ taken: 0, settled: 0 });
  });

  it('does not use a mean over more than a minute as the present rate', () => {
    const meter = new RateMeter();
    meter.observe(0, counters(0));
    expect(meter.observe(60_000, counters(60))).toEqual({ taken: 1, settled: 0 });
    expect(meter.observe(120_001, counters(60))).toBeNull();
    expect(meter.observe(121_001, counters(62))).toEqual({ taken: 2, settled: 0 });
  });
});
