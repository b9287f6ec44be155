import { describe, expect, it } from 'vitest';
import { assembleCore, assembleHandoff } from '../assemble-core.js';
import { assembleIntake } from '../assemble-intake.js';
import { channelSource } from '../assemble-writer.js';
import type { LedgerOptions } from '../config/ledger-options.interface.js';
import { resolveLedgerOptions } from '../config/resolve-ledger-options.js';
import {
  assertConservation,
  ledgerUnderTest,
  PLAIN_TABLE,
  start,
  type LedgerUnderTest,
} from '../testing/ledger-under-test.js';
import { ManualClock } from '../testing/manual-clock.js';

/** Idle for half of the time, unless a test sets another share. */
function eventLoop(): { share: number } {
  return { share: 0.5 };
}

async function started(options: LedgerOptions = {}, loop = eventLoop()): Promise<LedgerUnderTest> {
  const test = ledgerUnderTest({ profile: 'auto', ...options }, PLAIN_TABLE, () => ({
    utilization: () => ({ idle: 1, active: 1, utilization: loop.share }),
  }));
  await start(test);
  return test;
}

function offer({ ledger }: LedgerUnderTest, count: number): void {
  for (let i = 0; i < count; i++) ledger.intake.offer({ userId: 1 });
}

/** A server that takes a fixed number of milliseconds for each batch. */
async function serve(test: LedgerUnderTest, flushMs: number, batches: number): Promise<void> {
  for (let i = 0; i < batches; i++) {
    await test.clock.advance(flushMs);
    for (const call of test.sink.held.splice(0)) call.release();
    await test.clock.turn();
  }
}

describe('a ledger with profile auto', () => {
  it('reports its figures, and none if nothing is auto', async () => {
    const test = await started();
    expect(test.ledger.stats().auto).toMatchObject({ batch: 10_000, delayMs: 25, tried: [] });
    expect(ledgerUnderTest().ledger.stats().auto).toBeNull();
    expect(ledgerUnderTest({ bufferSize: 'auto' }).ledger.stats().auto).toBeNull();
    const only = ledgerUnderTest({ batchSize: 'auto', flushMs: 70, numWorkers: 3 });
    expect(only.ledger.stats().auto).toMatchObject({
      batch: 2_000,
      delayMs: 70,
      workers: 3,
      why: 'a batch is what waits',
    });
  });

  it('writes after its delay or when 1,500 entries wait, in batches of at most 10,000', async () => {
    const test = await started();
    offer(test, 3);
    await test.clock.advance(24);
    expect(test.sink.calls).toHaveLength(0);
    await test.clock.advance(1);
    expect(test.sink.calls.map(({ count }) => count)).toEqual([3]);
    offer(test, 10_001);
    await test.clock.turn();
    expect(test.sink.calls.map(({ count }) => count)).toEqual([3, 10_000]);
    offer(test, 1_498);
    await test.clock.turn();
    expect(test.sink.calls).toHaveLength(2);
    offer(test, 1);
    await test.clock.turn();
    expect(test.sink.calls.map(({ count }) => count)).toEqual([3, 10_000, 1_500]);
  });

  it('is bounded by bytes only, and begins to write long before the bound', async () => {
    const test = await started({ bufferMaxBytes: 1_048_576 });
    test.sink.hold();
    const rows = test.ledger.stats().capacity;
    expect(rows).toBe(Math.floor(1_048_576 / 300));
    offer(test, 20_000);
    await test.clock.turn();
    const { depth, inFlight, dropped, bytes } = test.ledger.stats();
    expect(inFlight).toBeGreaterThan(0);
    expect(depth + inFlight).toBeGreaterThan(rows);
    expect(dropped).toBe(20_000 - depth - inFlight);
    expect(bytes).toBeLessThanOrEqual(1_048_576);
    assertConservation(test.ledger.stats());
  });

  it('leaves room for waiting batches in a configured buffer', async () => {
    const test = await started({ bufferSize: 1_000 });
    expect(test.ledger.stats().capacity).toBe(1_000);
    const { batch, workers } = test.ledger.stats().auto!;
    expect(batch * (workers + 2)).toBeLessThanOrEqual(1_000);
  });

  it('waits longer while few entries come, and shorter again when more do', async () => {
    const test = await started();
    for (let i = 0; i < 80; i++) {
      offer(test, 10);
      await test.clock.advance(100);
    }
    expect(test.ledger.stats().auto!.delayMs).toBe(100);
    expect(test.ledger.stats().auto!.why).toContain('the delay saves CPU while');
    for (let i = 0; i < 80; i++) {
      offer(test, 1_500);
      await test.clock.advance(100);
    }
    // Changes of less than a tenth are ignored.
    expect(test.ledger.stats().auto!.delayMs).toBeLessThan(28);
    assertConservation(test.ledger.stats());
  });

  it('applies a shorter delay to waiting entries', async () => {
    const clock = new ManualClock();
    const options = resolveLedgerOptions({ flushMs: 1_000 });
    const handoff = assembleHandoff(options, clock);
    const logger = { log: () => {}, warn: () => {}, error: () => {} };
    const deadLetters = { store: async () => {} };
    const parts = { table: PLAIN_TABLE, options, deadLetters, clock, logger };
    const core = assembleCore(parts, () => handoff.isFull);
    const dispatcher = channelSource(core, handoff);
    const taken: (number | undefined)[] = [];
    dispatcher.next((assignment) => taken.push(assignment?.batch.count));
    assembleIntake(core, handoff).intake.offer({ userId: 1 });
    await clock.advance(10);
    dispatcher.flushMs = 20;
    await clock.advance(9);
    expect(taken).toEqual([]);
    await clock.advance(1);
    expect(taken).toEqual([1]);
  });

  it('tries another worker under a lasting backlog, and logs the result at most once a minute', async () => {
    const test = await started({ numWorkers: 'auto', batchSize: 10, flushMs: 1_000 });
    test.sink.hold();
    offer(test, 50_000);
    await test.clock.turn();
    const workers = new Set<number>();
    for (let i = 0; i < 1_000; i++) {
      await serve(test, 50, 1);
      workers.add(test.ledger.stats().workers.total);
    }
    const { auto } = test.ledger.stats();
    expect([...workers].slice(0, 2)).toEqual([2, 3]);
    expect(auto!.tried[0]).toMatchObject({ workers: 3, isKept: true });
    const told = test.lines.filter((line) => line.startsWith('auto: '));
    expect(told.length).toBeLessThanOrEqual(1);
    test.sink.hold(false);
    for (const call of test.sink.held.splice(0)) call.release();
    await test.clock.advance(120_000);
    expect(test.lines.filter((line) => line.startsWith('auto: ')).length).toBeGreaterThan(0);
    expect(test.ledger.stats()).toMatchObject({ written: 50_000, depth: 0, inFlight: 0 });
    assertConservation(test.ledger.stats());
  });

  it.each([
    [
      'the event loop is busy',
      (_: LedgerUnderTest, loop: { share: number }) => (loop.share = 0.95),
    ],
    ['attempts fail', (test: LedgerUnderTest) => test.sink.failNext({ kind: 'transient' }, 10_000)],
  ])('tries none while %s', async (_, disturb) => {
    const loop = eventLoop();
    const test = await started({ batchSize: 10, flushMs: 1_000 }, loop);
    disturb(test, loop);
    test.sink.hold();
    offer(test, 30_000);
    for (let i = 0; i < 400; i++) {
      await serve(test, 50, 1);
      expect(test.ledger.stats().workers.total).toBeLessThanOrEqual(2);
    }
    expect(test.ledger.stats().auto!.tried).toEqual([]);
    assertConservation(test.ledger.stats());
  });

  it('stops looking when the process stops, and leaves no timer', async () => {
    const test = await started();
    offer(test, 5);
    const drained = test.ledger.shutdown.drain();
    await test.clock.advance(2_000);
    await drained;
    const finished = test.ledger.shutdown.finish();
    await test.clock.advance(2_000);
    await finished;
    expect(test.ledger.stats()).toMatchObject({ written: 5, state: 'sealed' });
    expect(test.clock.pendingTimers).toBe(0);
    assertConservation(test.ledger.stats());
  });
});

describe('the number of workers', () => {
  it('may grow and shrink while batches are in flight: a removed worker finishes its batch', async () => {
    const test = ledgerUnderTest({ numWorkers: 3, batchSize: 2, flushMs: 10_000, bufferSize: 100 });
    await start(test);
    const { writer } = test.ledger;
    test.sink.hold();
    offer(test, 40);
    await test.clock.turn();
    expect(writer.busyWorkers).toBe(3);
    writer.resize(1);
    expect(test.ledger.stats().workers).toEqual({ total: 1, busy: 3 });
    await serve(test, 1, 1);
    expect(test.ledger.stats()).toMatchObject({ written: 6, workers: { total: 1, busy: 1 } });
    writer.resize(4);
    await test.clock.turn();
    expect(writer.busyWorkers).toBe(4);
    test.sink.hold(false);
    await serve(test, 1, 20);
    expect(test.ledger.stats()).toMatchObject({ written: 40, inFlight: 0 });
    assertConservation(test.ledger.stats());
  });

  it('may change to and fro in one turn, with idle workers and with busy ones', async () => {
    const test = ledgerUnderTest({ numWorkers: 2, batchSize: 2, flushMs: 10_000, bufferSize: 100 });
    await start(test);
    const { writer } = test.ledger;
    writer.resize(1);
    writer.resize(2);
    await test.clock.turn();
    test.sink.hold();
    offer(test, 20);
    await test.clock.turn();
    expect(writer.busyWorkers).toBe(2);
    writer.resize(1);
    writer.resize(2);
    await serve(test, 1, 1);
    expect(writer.busyWorkers).toBe(2);
    test.sink.hold(false);
    await serve(test, 1, 20);
    expect(test.ledger.stats()).toMatchObject({ written: 20, workers: { total: 2, busy: 0 } });
  });

  it('does not affect a stop: it waits for a removed worker that still writes, and its rows are not lost', async () => {
    const test = ledgerUnderTest({ numWorkers: 2, batchSize: 2, flushMs: 10_000, bufferSize: 100 });
    await start(test);
    test.sink.hold();
    offer(test, 8);
    await test.clock.turn();
    test.ledger.writer.resize(1);
    const drained = test.ledger.shutdown.drain();
    await test.clock.advance(6_000);
    await drained;
    const finished = test.ledger.shutdown.finish();
    await test.clock.advance(6_000);
    await finished;
    expect(test.ledger.stats()).toMatchObject({ written: 0, spilled: 8, state: 'sealed' });
    assertConservation(test.ledger.stats());
  });
});
