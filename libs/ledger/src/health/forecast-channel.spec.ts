import { describe, expect, it } from 'vitest';
import { IDLE_JOURNAL, NO_STATS } from '../advice/fixtures/load.fixture.js';
import type { LedgerStats } from '../ports/ledger-stats.interface.js';
import { forecastChannel } from './forecast-channel.js';

const MIB = 1_048_576;
const GROWING = { taken: 1000, settled: 0 };
const journal = { ...IDLE_JOURNAL, bytes: 100 * MIB, files: 7 };
const onDisk: LedgerStats = {
  ...NO_STATS,
  settings: {
    overflow: { value: 'disk', source: 'default' },
    journalMaxBytes: { value: 1000 * MIB, source: 'code' },
  },
  journal,
};

describe("forecastChannel, with overflow 'disk'", () => {
  it('uses the room of the journal, because the number of entries is not a bound', () => {
    const stats = { ...onDisk, depth: 1_048_576, bytes: 100 * MIB, saturation: 0.5 };
    expect(forecastChannel(stats, GROWING).timeToFullMs).toBe(5_242_880);
    expect(forecastChannel({ ...stats, saturation: 1 }, GROWING).timeToFullMs).toBe(0);
    expect(forecastChannel(onDisk, GROWING).timeToFullMs).toBeNull();
  });

  it('uses memory while the journal can’t be written', () => {
    const degraded = { ...journal, state: 'degraded' as const, reason: 'ENOSPC' };
    const stats = { ...onDisk, journal: degraded, depth: 4000, bytes: MIB, saturation: 0.4 };
    expect(forecastChannel(stats, GROWING).timeToFullMs).toBe(6000);
  });
});

describe('forecastChannel', () => {
  const stats = { ...NO_STATS, depth: 400, inFlight: 100, capacity: 1000, saturation: 0.4 };

  it('reports when a filling channel will be full, and no drain', () => {
    const forecast = forecastChannel(stats, { taken: 450, settled: 150 });
    expect(forecast).toEqual({ timeToFullMs: 2000, drainEtaMs: null });
  });

  it('reports when an emptying channel will be drained, including entries in flight', () => {
    const forecast = forecastChannel(stats, { taken: 100, settled: 350 });
    expect(forecast).toEqual({ timeToFullMs: null, drainEtaMs: 2000 });
  });

  it.each([[null], [{ taken: 7, settled: 7 }]])('reports neither at the rates %j', (rates) => {
    expect(forecastChannel(stats, rates)).toEqual({ timeToFullMs: null, drainEtaMs: null });
  });

  it('needs no rate for a full or an empty channel', () => {
    expect(forecastChannel({ ...stats, depth: 1000, saturation: 1 }, null).timeToFullMs).toBe(0);
    const empty = { ...stats, depth: 0, inFlight: 0, saturation: 0 };
    expect(forecastChannel(empty, null).drainEtaMs).toBe(0);
  });

  it('uses bytes if they are the tighter bound', () => {
    const heavy = { ...stats, saturation: 0.5 };
    expect(forecastChannel(heavy, { taken: 250, settled: 0 }).timeToFullMs).toBe(2000);
  });
});
