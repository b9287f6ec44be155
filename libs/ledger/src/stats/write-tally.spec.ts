import { describe, expect, it } from 'vitest';
import { assertConservation, ledgerUnderTest, start } from '../testing/ledger-under-test.js';
import type { FlushListener } from '../writer/batch-writer.js';

describe('the counts of batches', () => {
  it('count each batch once by the reason why it was due, and each write with its entries', async () => {
    const test = ledgerUnderTest({ batchSize: 2, flushMs: 100 });
    await start(test);
    for (let i = 0; i < 5; i++) test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(100);
    void test.ledger.awaited.record({ userId: 1 }, {});
    await test.clock.turn();
    const { batches, flushes } = test.ledger.stats();
    expect(batches).toEqual({ full: 2, old: 1, awaited: 1, draining: 0, recovered: 0 });
    expect(flushes).toMatchObject({ count: 4, entries: 6 });
    void test.ledger.shutdown.drain();
    test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(100);
    expect(test.ledger.stats().batches.draining).toBe(1);
    expect(batches.draining, 'an earlier snapshot stays as it was').toBe(0);
  });

  it('add the time of committed writes, and retries by class', async () => {
    const test = ledgerUnderTest({ batchSize: 1, retryMinMs: 10, retryMaxMs: 10 });
    await start(test);
    test.sink.failNext({ kind: 'transient', sqlState: '53300' }, 2);
    test.sink.failNext({ kind: 'halt' });
    test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(100);
    const { retries, retriesByClass, flushes } = test.ledger.stats();
    expect(retriesByClass).toMatchObject({ too_many_connections: 2, halted: 1, connection: 0 });
    expect(retries).toBe(3);
    expect(flushes).toEqual({ count: 1, entries: 1, ms: 0 });
    test.sink.hold();
    test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(40);
    test.sink.held[0]!.release();
    await test.clock.turn();
    expect(test.ledger.stats().flushes).toEqual({ count: 2, entries: 2, ms: 40 });
  });
});

describe('listeners of flushes', () => {
  it('are called after each write until they are removed', async () => {
    const heard: Parameters<FlushListener>[0][] = [];
    const test = ledgerUnderTest({ batchSize: 3, flushMs: 50 });
    const end = test.ledger.writer.onFlush((flush) => void heard.push(flush));
    await start(test);
    for (let i = 0; i < 4; i++) test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(50);
    expect(heard).toMatchObject([
      { entries: 3, due: 'full', ms: 0 },
      { entries: 1, due: 'old', ms: 0 },
    ]);
    end();
    test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(50);
    expect(heard).toHaveLength(2);
  });

  it('may throw: the error is counted, the batch is written once, and the others are called', async () => {
    const test = ledgerUnderTest({ batchSize: 1 });
    let heard = 0;
    test.ledger.writer.onFlush(() => {
      throw new Error('of the application');
    });
    test.ledger.writer.onFlush(() => void heard++);
    await start(test);
    test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(100);
    expect(test.ledger.stats()).toMatchObject({ callbackErrors: 1, written: 1, retries: 0 });
    expect(heard).toBe(1);
    expect(test.sink.calls).toHaveLength(1);
    assertConservation(test.ledger.stats());
  });

  it('may be async functions that throw: the error is counted, and the process continues', async () => {
    const test = ledgerUnderTest({ batchSize: 1 });
    const listener: () => unknown = async () => {
      throw new Error('of the application');
    };
    test.ledger.writer.onFlush(listener);
    await start(test);
    test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(100);
    expect(test.ledger.stats()).toMatchObject({ callbackErrors: 1, written: 1 });
  });
});
