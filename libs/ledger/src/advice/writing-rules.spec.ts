import { describe, expect, it } from 'vitest';
import { adviseLedger } from './advise-ledger.js';
import type { AdviceEnvironment, Finding } from './finding.interface.js';
import { QUIET, SERVER, samplesOf, type Load } from './fixtures/load.fixture.js';

type Case = readonly [
  what: string,
  load: Load,
  environment: AdviceEnvironment,
  finding: Partial<Finding>,
];

const CASES: readonly Case[] = [
  [
    'connections equal to workers: they wait for the server and there is no reserve',
    { offered: 9_800, written: 9_800, flush: { entries: 500, ms: 50 }, batchSize: 500 },
    SERVER,
    {
      rule: 'workers-always-busy',
      constraint: 'workers',
      severity: 'notice',
      change: { setting: 'numWorkers', from: 1, to: 2 },
    },
  ],
  [
    'connections equal to workers, as the server shows them',
    { offered: 7_000, written: 7_000, flush: { entries: 500, ms: 50 }, batchSize: 500 },
    { ...SERVER, activeConnections: 1 },
    { rule: 'workers-always-busy', constraint: 'workers' },
  ],
  [
    'batches that are always full, with workers half busy or more',
    {
      offered: 12_000,
      written: 12_000,
      flush: { entries: 100, ms: 12 },
      due: 'full',
      workers: 2,
      bufferSize: 50_000,
    },
    SERVER,
    {
      rule: 'batches-always-full',
      constraint: 'batch',
      change: { setting: 'batchSize', from: 100, to: 830 },
    },
  ],
  [
    'flushes over 100 ms at a good rate: smaller batches',
    {
      offered: 20_000,
      written: 20_000,
      flush: { entries: 5_000, ms: 123 },
      batchSize: 5_000,
      bufferSize: 100_000,
    },
    SERVER,
    {
      rule: 'flushes-slow',
      constraint: 'batch',
      change: { setting: 'batchSize', from: 5_000, to: 4_000 },
    },
  ],
  [
    'flushes over 100 ms of few entries: the server, and no setting',
    { offered: 200, written: 200, flush: { entries: 100, ms: 250 } },
    SERVER,
    { rule: 'flushes-slow', constraint: 'database', change: null },
  ],
  [
    'workers above min(cores, max_connections / 10) that are never busy',
    { ...QUIET, workers: 50, bufferSize: 50_000 },
    { cores: 16, maxConnections: 100 },
    {
      rule: 'workers-above-limit',
      constraint: 'workers',
      change: { setting: 'numWorkers', from: 50, to: 10 },
    },
  ],
  [
    'a tenth of the connections for all instances together',
    { ...QUIET, workers: 5 },
    { cores: 16, maxConnections: 100, instances: 4 },
    { rule: 'workers-above-limit', change: { setting: 'numWorkers', from: 5, to: 2 } },
  ],
  [
    'a server that takes no more connections: fewer workers',
    { ...QUIET, workers: 20, retries: { too_many_connections: 0.5 } },
    { maxConnections: 100, instances: 10 },
    {
      rule: 'connections-exhausted',
      constraint: 'connections',
      severity: 'warning',
      change: { setting: 'numWorkers', from: 20, to: 7 },
    },
  ],
  [
    'one worker that gets no connection: more connections',
    { ...QUIET, retries: { too_many_connections: 0.5 } },
    { maxConnections: 20 },
    {
      rule: 'connections-exhausted',
      constraint: 'connections',
      change: { setting: 'max_connections', from: 20, to: 25 },
    },
  ],
  [
    'instances that together may open more connections than there are',
    { ...QUIET, workers: 8 },
    { maxConnections: 100, instances: 12 },
    {
      rule: 'connections-exhausted',
      severity: 'notice',
      change: { setting: 'numWorkers', from: 8, to: 6 },
    },
  ],
  [
    'an event loop without time',
    QUIET,
    { ...SERVER, eventLoopUtilization: 0.95, instances: 3 },
    {
      rule: 'event-loop-busy',
      constraint: 'event-loop',
      change: { setting: 'instances', from: 3, to: 4 },
    },
  ],
];

describe('rules of writing', () => {
  it.each([
    ['is idle', { ...QUIET, offered: 0, written: 0, workers: 20 }],
    ['has no server', { ...QUIET, written: 0, workers: 20, retries: { connection: 1 } }],
    ['is halted', { ...QUIET, workers: 20, now: { state: 'halted' as const } }],
  ])('say nothing of workers of a ledger that %s', (_what, load) => {
    const rules = adviseLedger(samplesOf(load), SERVER).map(({ rule }) => rule);
    expect(rules).not.toContain('workers-above-limit');
    const busy = adviseLedger(samplesOf({ ...QUIET, workers: 20 }), SERVER);
    expect(busy.map(({ rule }) => rule)).toContain('workers-above-limit');
  });

  it.each(CASES)('report %s', (_what, load, environment, finding) => {
    const findings = adviseLedger(samplesOf(load), environment);
    const found = findings.find(({ rule }) => rule === finding.rule);
    expect(found, JSON.stringify(findings)).toMatchObject(finding);
    expect(found!.evidence.length).toBeGreaterThan(0);
    expect(found!.evidence.every(({ value }) => Number.isFinite(value))).toBe(true);
    const settings = findings.flatMap(({ change }) => change?.setting ?? []);
    expect(new Set(settings).size, 'one value for each setting').toBe(settings.length);
  });
});
