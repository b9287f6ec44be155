import { tmpdir } from 'node:os';
import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { OpenCalls } from './channel/open-calls.js';
import { resolveLedgerOptions } from './config/resolve-ledger-options.js';
import { LedgerDatabase } from './ledger.database.js';
import { LedgerLifecycle } from './ledger.lifecycle.js';
import { PoolShare } from './ledger.pool-share.js';
import { LedgerFiles } from './files/ledger-files.js';
import { ledgerUnderTest } from './testing/ledger-under-test.js';

/** Nothing listens there: what asks the server gets no answer, and the sink is in memory. */
const NOWHERE = { type: 'postgres', url: 'postgres://127.0.0.1:1/nowhere', poolSize: 7 } as const;

interface Surroundings {
  /** Of the application's ledgers. */
  readonly all?: LedgerLifecycle[];
  readonly name?: string;
  readonly numWorkers?: number | 'auto';
  readonly dataSource?: DataSource;
}

function bootable({ all = [], name = 'default', numWorkers = 1, dataSource }: Surroundings = {}) {
  const test = ledgerUnderTest({ bufferSize: 2, batchSize: 1, numWorkers });
  const options = resolveLedgerOptions({ dataSource: dataSource ?? new DataSource(NOWHERE) });
  const lifecycle = new LedgerLifecycle({
    name,
    ledger: test.ledger,
    files: new LedgerFiles(tmpdir(), 'default'),
    pool: new PoolShare(test.ledger, new LedgerDatabase(options, 'default'), () => undefined),
    partitions: undefined,
    rollups: undefined,
    all: () => all,
    checkApplication: () => {},
    queueWorkers: () => [],
    messages: new OpenCalls(),
    httpServer: () => undefined,
    isUnderTest: true,
  });
  const boot = async (): Promise<void> => {
    const started = lifecycle.onModuleInit();
    // The probe of the spill directory is real I/O, which no turn of the manual clock awaits.
    while (test.ledger.writer.isPrepared !== true) await test.clock.turn();
    await started;
  };
  const advised = (): string[] => test.lines.filter((line) => line.includes(' s: '));
  return { ...test, lifecycle, boot, advised };
}

async function dropFor(test: ReturnType<typeof bootable>, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 10) {
    for (let i = 0; i < 9; i++) test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(10_000);
  }
}

describe('LedgerLifecycle', () => {
  it('lets the advice be told from the start to the first shutdown hook', async () => {
    const test = bootable();
    await test.boot();
    expect(test.ledger.surroundings.read().poolSize).toBe(7);
    test.sink.hold();
    await dropFor(test, 120);
    expect(test.advised()).toEqual([
      expect.stringMatching(/^WARNING: \d+ entries were dropped in 30 s: /),
    ]);
    test.sink.hold(false);
    test.sink.held[0]!.release();
    const destroyed = test.lifecycle.onModuleDestroy();
    await test.clock.turn();
    await destroyed;
    await test.lifecycle.onApplicationShutdown();
    await test.clock.advance(2000);
    expect(test.clock.pendingTimers).toBe(0);
  });

  it('looks at nothing if it is stopped before it is started', async () => {
    const test = bootable();
    await test.lifecycle.onModuleDestroy();
    await test.lifecycle.onModuleInit();
    await test.lifecycle.onApplicationShutdown();
    await test.clock.advance(2000);
    expect(test.clock.pendingTimers).toBe(0);
  });

  it('writes what was recorded before a start that never came', async () => {
    const test = bootable();
    test.ledger.intake.offer({ userId: 1 });
    const destroyed = test.lifecycle.onModuleDestroy();
    // As in `boot`: real I/O comes first.
    await expect
      .poll(() => test.clock.turn().then(() => test.sink.rows.size), { timeout: 10_000 })
      .toBe(1);
    await destroyed;
    await test.lifecycle.onApplicationShutdown();
    expect(test.ledger.stats()).toMatchObject({ state: 'sealed', written: 1, spilled: 0 });
    await test.clock.advance(2000);
    expect(test.clock.pendingTimers).toBe(0);
  });

  it('stops with all other ledgers of the application, so that their time limits do not add up', async () => {
    const all: LedgerLifecycle[] = [];
    const [first, second] = [bootable({ all, name: 'first' }), bootable({ all, name: 'second' })];
    all.push(first.lifecycle, second.lifecycle);
    await Promise.all([first.boot(), second.boot()]);
    for (const { sink, ledger } of [first, second]) {
      sink.failAlways({ kind: 'transient' });
      ledger.intake.offer({ userId: 1 });
    }
    const { shutdownTimeoutMs } = first.ledger.options;
    const pass = async (ms: number): Promise<void> => {
      await Promise.all([first.clock.advance(ms), second.clock.advance(ms)]);
    };

    const destroyed = first.lifecycle.onModuleDestroy();
    await pass(shutdownTimeoutMs / 2);
    await destroyed;
    expect(second.ledger.status.state).toBe('draining');
    await second.lifecycle.onModuleDestroy();

    const ended = first.lifecycle.onApplicationShutdown();
    await pass(shutdownTimeoutMs / 2);
    await ended;
    await second.lifecycle.onApplicationShutdown();
    for (const { ledger, sink } of [first, second]) {
      expect(ledger.stats()).toMatchObject({ state: 'sealed', spilled: 1, depth: 0, inFlight: 0 });
      expect(sink.isClosed).toBe(true);
    }
  });

  it.each([
    // Of a pool of 7 connections the application has one.
    [
      [5, 5],
      [5, 1],
    ],
    [
      [9, 9],
      [5, 1],
    ],
    [
      [1, 5, 2],
      [1, 4, 1],
    ],
    [
      [2, 2],
      [2, 2],
    ],
  ])('leaves the application a connection beside ledgers of %j workers', async (wanted, had) => {
    const all: LedgerLifecycle[] = [];
    const dataSource = new DataSource(NOWHERE);
    const tests = wanted.map((numWorkers, index) => {
      return bootable({ all, name: `ledger-${index}`, numWorkers, dataSource });
    });
    const elsewhere = bootable({ all, name: 'elsewhere', numWorkers: 6 });
    all.push(...[...tests, elsewhere].map(({ lifecycle }) => lifecycle));
    for (const { boot } of [...tests, elsewhere]) await boot();
    expect(tests.map(({ ledger }) => ledger.writer.numWorkers)).toEqual(had);
    expect(elsewhere.ledger.writer.numWorkers).toBe(6);
    const stop = tests[0]!.lifecycle.onModuleDestroy();
    for (const { clock } of tests) await clock.turn();
    await stop;
  });

  it.each([
    [['auto'], [3]],
    [
      ['auto', 'auto'],
      [1, 1],
    ],
    [
      [8, 'auto'],
      [5, 1],
    ],
    [
      ['auto', 8],
      [1, 5],
    ],
  ] as const)('leaves the application half of the pool beside %j workers', async (wanted, most) => {
    const all: LedgerLifecycle[] = [];
    const dataSource = new DataSource(NOWHERE);
    const tests = wanted.map((numWorkers, index) => {
      return bootable({ all, name: `ledger-${index}`, numWorkers, dataSource });
    });
    all.push(...tests.map(({ lifecycle }) => lifecycle));
    for (const { boot } of tests) await boot();
    const had = tests.map(({ ledger }) => ledger.auto?.mostWorkers ?? ledger.writer.numWorkers);
    expect(had).toEqual(most);
    for (const [index, { ledger }] of tests.entries()) {
      if (wanted[index] === 'auto') expect(ledger.writer.numWorkers).toBe(Math.min(2, had[index]!));
    }
    const warned = tests
      .flatMap(({ lines }) => lines)
      .filter((line) => line.includes('whole pool'));
    expect(warned).toEqual(
      wanted.filter((each) => each !== 'auto').map(() => expect.stringContaining('using 5')),
    );
    const stop = tests[0]!.lifecycle.onModuleDestroy();
    for (const { clock } of tests) await clock.turn();
    await stop;
  });
});
