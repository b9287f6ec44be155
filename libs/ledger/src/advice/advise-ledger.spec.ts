import { describe, expect, it } from 'vitest';
import { LEDGER_PROFILES } from '../config/ledger-profiles.js';
import { adviseLedger } from './advise-ledger.js';
import type { AdviceEnvironment, Finding } from './finding.interface.js';
import { QUIET, SERVER, SHORT, samplesOf, type Load } from './fixtures/load.fixture.js';

function advise(load: Load, environment: AdviceEnvironment = SERVER): Finding[] {
  return adviseLedger(samplesOf(load), environment);
}

describe('adviseLedger', () => {
  it('reads as a sentence with the numbers, the setting and both values', () => {
    const [finding] = advise(SHORT);
    expect(`${finding!.summary}: ${finding!.remedy}`).toBe(
      '120,000 entries were dropped in 60 s: raise numWorkers from 1 to 2',
    );
    expect(finding!.evidence).toEqual([
      { name: 'dropped', value: 120_000, unit: 'entries' },
      { name: 'offered', value: 12_000, unit: 'entries/s' },
      { name: 'settled', value: 10_000, unit: 'entries/s' },
      { name: 'workers busy', value: 100, unit: '%' },
      { name: 'saturation', value: 100, unit: '%' },
    ]);
  });

  it('is silent once its advice was taken', () => {
    const short = advise(SHORT)[0]!.change!;
    expect(short.setting).toBe('numWorkers');
    const relieved = { offered: 12_000, written: 12_000, dropped: 0, workers: short.to };
    expect(advise({ ...SHORT, ...relieved, now: { depth: 600, saturation: 0.01 } })).toMatchObject([
      { rule: 'batches-always-full', change: { setting: 'batchSize', from: 500, to: 1000 } },
    ]);
    const batch = { batchSize: 1000, flush: { entries: 1000, ms: 60 } };
    expect(
      advise({ ...SHORT, ...relieved, ...batch, now: { depth: 600, saturation: 0.01 } }),
    ).toEqual([]);
  });
});

describe('figures that are auto', () => {
  const value = { value: 'auto', source: 'code' } as const;
  const names = ['batchSize', 'flushMs', 'bufferSize', 'numWorkers'];
  const settings = Object.fromEntries(names.map((name) => [name, value]));
  const found = { batch: 500, delayMs: 25, workers: 1, why: '', since: 0, tried: [] };

  it('are given no value by advice: what remains is memory, the server or the process', () => {
    const load = { ...SHORT, now: { ...SHORT.now, settings, auto: found, bytes: 200_000_000 } };
    const busy = { ...SERVER, eventLoopUtilization: 0.97 };
    for (const environment of [SERVER, busy, { ...SERVER, targetRate: 100_000 }]) {
      const changed = advise(load, environment).map(({ change }) => change?.setting);
      expect(changed.length).toBeGreaterThan(0);
      for (const name of names) expect(changed).not.toContain(name);
    }
    expect(advise(load)[0]!.remedy).toMatch(/^the server takes no more than 10,000 entries\/s/);
  });

  it('are given values where they belong to a writer of a stream, which tunes nothing', () => {
    const role = { value: 'writer', source: 'code' } as const;
    const now = { depth: 0, saturation: 0, auto: found, settings: { ...settings, role } };
    const writer: Load = {
      ...SHORT,
      offered: 0,
      dropped: 0,
      flush: { entries: 500, ms: 250 },
      now,
    };
    expect(advise(writer)).toContainEqual(
      expect.objectContaining({ change: { setting: 'numWorkers', from: 1, to: 2 } }),
    );
  });

  it('are left alone where the event loop is the limit, which advice says', () => {
    const load = { ...SHORT, now: { ...SHORT.now, settings, auto: found } };
    expect(advise(load, { ...SERVER, eventLoopUtilization: 0.97 })).toContainEqual(
      expect.objectContaining({
        constraint: 'event-loop',
        change: { setting: 'instances', from: 1, to: 2 },
      }),
    );
  });

  it('are asked to make room by bytes in an outage', () => {
    const away = { kind: 'connection' } as const;
    const load: Load = {
      ...SHORT,
      written: 0,
      flush: { entries: 0, ms: 0 },
      retries: { [away.kind]: 1 },
      now: { depth: 50_000, saturation: 1, settings, auto: found, oldestEntryAgeMs: 60_000 },
    };
    expect(advise(load)[0]!.change).toMatchObject({ setting: 'bufferMaxBytes', to: 536_870_912 });
  });
});

/** The upper rate of each row of the guide's table, and the workers' time that it may take. */
const ROWS = [
  ['low', 100],
  ['medium', 1_000],
  ['high', 10_000],
  ['very-high', 100_000],
  ['ultra', 1_000_000],
] as const;

describe('silence', () => {
  it.each(ROWS)('for profile %s at its upper rate of %i entries/s, a third busy', (name, rate) => {
    const { batchSize, bufferSize, numWorkers } = LEDGER_PROFILES[name];
    const entries = Math.min(batchSize, rate);
    const ms = Math.min(90, (entries * numWorkers * 1000) / rate / 3);
    const load = { offered: rate, written: rate, batchSize, bufferSize, due: 'full' } as const;
    const environment = { cores: numWorkers, maxConnections: numWorkers * 10 + 2 };
    const findings = advise({ ...load, workers: numWorkers, flush: { entries, ms } }, environment);
    expect(findings).toEqual([]);
  });

  it.each<[string, Load, AdviceEnvironment]>([
    ['a quiet ledger', QUIET, SERVER],
    ['a ledger nobody uses', { ...QUIET, offered: 0, written: 0 }, SERVER],
    ['a ledger nothing is known about', { ...QUIET, workers: 40 }, {}],
    ['workers above the formula that do work', busyWorkers(), { cores: 2, maxConnections: 100 }],
    ['a drain, which empties the channel', { ...SHORT, now: { state: 'draining' } }, SERVER],
    ['a moment', { ...SHORT, seconds: 0 }, SERVER],
    ['invalid entries, which no setting mends', invalid(), SERVER],
  ])('for %s', (_what, load, environment) => {
    expect(advise(load, environment)).toEqual([]);
  });

  it('for less than five seconds', () => {
    const samples = samplesOf({ ...SHORT, seconds: 10 });
    const moment = samples.map((sample) => ({ ...sample, at: sample.at * 0.49 }));
    expect(adviseLedger(moment, SERVER)).toEqual([]);
    expect(adviseLedger(samples, SERVER)).not.toEqual([]);
  });
});

function busyWorkers(): Load {
  return {
    ...QUIET,
    offered: 40_000,
    written: 40_000,
    workers: 6,
    bufferSize: 100_000,
    flush: { entries: 2000, ms: 80 },
    batchSize: 4_000,
    now: { workers: { total: 6, busy: 5 } },
  };
}

function invalid(): Load {
  return { ...QUIET, now: { invalid: 1_000_000, offered: 1_000_000 } };
}
