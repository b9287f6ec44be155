import { describe, expect, it } from 'vitest';
import { adviseLedger } from './advise-ledger.js';
import type { AdviceEnvironment, Finding } from './finding.interface.js';
import { QUIET, SERVER, SHORT, samplesOf, type Load } from './fixtures/load.fixture.js';

type Case = readonly [
  what: string,
  load: Load,
  environment: AdviceEnvironment,
  finding: Partial<Finding>,
];

const ON_DISK: NonNullable<Load['now']> = {
  settings: { overflow: { value: 'disk', source: 'default' } },
  saturation: 1,
};

const CASES: readonly Case[] = [
  [
    'drops while all workers are busy: more workers, as many as the rate asks for',
    SHORT,
    { cores: 8, maxConnections: 100 },
    {
      rule: 'entries-dropped',
      constraint: 'workers',
      severity: 'warning',
      change: { setting: 'numWorkers', from: 1, to: 2 },
    },
  ],
  [
    'drops with full batches that cost next to nothing: larger ones, before more workers',
    { ...SHORT, flush: { entries: 50, ms: 5 }, batchSize: 50 },
    SERVER,
    {
      rule: 'entries-dropped',
      constraint: 'batch',
      change: { setting: 'batchSize', from: 50, to: 500 },
    },
  ],
  [
    'drops with as many workers as the formula allows: larger batches',
    { ...SHORT, workers: 8, flush: { entries: 500, ms: 400 / 12.5 }, written: 125_000 },
    { cores: 8, maxConnections: 100 },
    {
      rule: 'entries-dropped',
      constraint: 'batch',
      change: { setting: 'batchSize', from: 500, to: 1500 },
    },
  ],
  [
    'drops with the workers of the formula and long flushes: the server, and no setting',
    { ...SHORT, workers: 8, flush: { entries: 500, ms: 200 }, written: 20_000 },
    { cores: 8, maxConnections: 100 },
    { rule: 'entries-dropped', constraint: 'database', change: null },
  ],
  [
    'drops though workers have time to spare: a burst, so a larger channel',
    { ...SHORT, workers: 4, offered: 9_000, dropped: 100, written: 8_900, due: 'old' },
    { ...SERVER, burstSeconds: 20 },
    {
      rule: 'entries-dropped',
      constraint: 'buffer',
      change: { setting: 'bufferSize', from: 50_000, to: 180_000 },
    },
  ],
  [
    'drops because of the bytes: their bound is raised, not that of entries',
    {
      ...SHORT,
      workers: 4,
      written: 8_900,
      now: { depth: 20_000, saturation: 1, bytes: 268_435_456 },
    },
    SERVER,
    {
      rule: 'entries-dropped',
      constraint: 'buffer',
      change: { setting: 'bufferMaxBytes', from: 268_435_456, to: 1_400_000_000 },
    },
  ],
  [
    'drops while no batch is written: the server first, and room for such an outage',
    {
      ...SHORT,
      written: 0,
      retries: { connection: 1 },
      now: { reason: 'connection refused', oldestEntryAgeMs: 20_000 },
    },
    SERVER,
    {
      rule: 'entries-dropped',
      constraint: 'database',
      change: { setting: 'bufferSize', from: 50_000, to: 480_000 },
    },
  ],
  [
    'drops while no batch is written, with entries on disk: the server, and more room there',
    {
      ...SHORT,
      written: 0,
      retries: { connection: 1 },
      now: { ...ON_DISK, reason: 'connection refused', oldestEntryAgeMs: 20_000 },
    },
    SERVER,
    {
      rule: 'entries-dropped',
      constraint: 'database',
      remedy:
        'bring the server back (connection refused); raise journalMaxBytes if the disk has room, to ride out such an outage',
      change: null,
    },
  ],
  [
    'drops though workers have time to spare, with entries on disk: more room there',
    { ...SHORT, workers: 4, dropped: 100, written: 8_900, due: 'old', now: ON_DISK },
    SERVER,
    { rule: 'entries-dropped', constraint: 'buffer', change: null },
  ],
  [
    'drops while the event loop has no time: more instances',
    SHORT,
    { ...SERVER, eventLoopUtilization: 0.97 },
    {
      rule: 'entries-dropped',
      constraint: 'event-loop',
      change: { setting: 'instances', from: 1, to: 2 },
    },
  ],
  [
    'callers that wait for room: the same finding as for drops',
    { ...SHORT, dropped: 0, now: { waiting: 40, depth: 50_000, saturation: 1 } },
    SERVER,
    {
      rule: 'callers-waiting',
      constraint: 'workers',
      severity: 'warning',
      change: { setting: 'numWorkers', from: 1, to: 2 },
    },
  ],
  [
    'a rate below what comes in, before anything is lost',
    { ...SHORT, dropped: 0, now: { depth: 20_000, saturation: 0.4 } },
    SERVER,
    {
      rule: 'rate-below-demand',
      constraint: 'workers',
      severity: 'warning',
      change: { setting: 'numWorkers', from: 1, to: 2 },
    },
  ],
  [
    'a rate below the target, though it is enough for what comes in',
    { offered: 6_000, written: 6_000, flush: { entries: 500, ms: 50 }, batchSize: 500 },
    { cores: 8, maxConnections: 200, targetRate: 50_000 },
    {
      rule: 'rate-below-demand',
      constraint: 'workers',
      change: { setting: 'numWorkers', from: 1, to: 5 },
    },
  ],
  [
    'a channel below the peak rate times the burst',
    { ...QUIET, offered: 4_000, written: 4_000, flush: { entries: 500, ms: 20 } },
    { ...SERVER, burstSeconds: 5 },
    {
      rule: 'buffer-below-burst',
      constraint: 'buffer',
      severity: 'notice',
      change: { setting: 'bufferSize', from: 10_000, to: 20_000 },
    },
  ],
  [
    "a channel below what comes in while one batch is written, the guide's other formula",
    { offered: 8_000, written: 8_000, flush: { entries: 400, ms: 3_000 }, workers: 80 },
    { cores: 128, maxConnections: 1_000 },
    {
      rule: 'buffer-below-burst',
      constraint: 'buffer',
      change: { setting: 'bufferSize', from: 10_000, to: 24_000 },
    },
  ],
];

describe('rules of the channel', () => {
  it.each(CASES)('report %s', (_what, load, environment, finding) => {
    const findings = adviseLedger(samplesOf(load), environment);
    const found = findings.find(({ rule }) => rule === finding.rule);
    expect(found, JSON.stringify(findings)).toMatchObject(finding);
    expect(found!.evidence.length).toBeGreaterThan(0);
    expect(found!.evidence.every(({ value }) => Number.isFinite(value))).toBe(true);
    const settings = findings.flatMap(({ change }) => change?.setting ?? []);
    expect(new Set(settings).size, 'one value for each setting').toBe(settings.length);
  });

  it('report a channel that fills while rows of earlier runs are written too', () => {
    // 9,000/s arrive and 6,000/s of them are written, next to 4,000/s left by a killed run.
    const load: Load = { ...SHORT, offered: 9_000, dropped: 0, now: { depth: 20_000 } };
    const samples = samplesOf(load).map(({ at, stats }) => {
      return { at, stats: { ...stats, recovered: (4_000 * at) / 1000 } };
    });
    const found = adviseLedger(samples, SERVER).find(({ rule }) => rule === 'rate-below-demand');
    expect(found?.evidence).toContainEqual({
      name: 'of earlier runs',
      value: 4_000,
      unit: 'entries/s',
    });
    // Without them the same rate is enough.
    const rules = adviseLedger(samplesOf(load), SERVER).map(({ rule }) => rule);
    expect(rules).not.toContain('rate-below-demand');
  });
});
