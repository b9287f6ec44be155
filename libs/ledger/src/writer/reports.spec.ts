import { assert, describe, expect, it } from 'vitest';
import { assembleLedger } from '../assemble-ledger.js';
import { resolveLedgerOptions } from '../config/resolve-ledger-options.js';
import {
  assertConservation,
  ledgerUnderTest,
  PLAIN_TABLE,
  start,
  type LedgerUnderTest,
} from '../testing/ledger-under-test.js';

const TRANSIENT = { kind: 'transient' } as const;

function offer({ ledger }: LedgerUnderTest, count: number, more: object = {}): void {
  for (let i = 0; i < count; i++) ledger.intake.offer({ userId: 1, ...more });
}

async function started(options = {}): Promise<LedgerUnderTest> {
  const test = ledgerUnderTest({ batchSize: 3, flushMs: 100, ...options });
  await start(test);
  return test;
}

describe('an invalid entry', () => {
  it('is kept as a dead letter as far as it can be serialised', async () => {
    const test = await started();
    const entry = {
      userId: -5,
      memo: 'kept',
      apiKeyId: 7n,
      get serviceId(): number {
        throw new Error('secret');
      },
      attributes: { cycle: {} as object },
    };
    entry.attributes.cycle = entry.attributes;
    expect(test.ledger.intake.offer(entry)).toBe('invalid');
    await test.clock.advance(1000);
    expect(test.letters).toMatchObject([
      { reason: 'invalid', uuid: undefined, entry: { userId: -5, memo: 'kept', apiKeyId: '7' } },
    ]);
    expect(test.lines).toContain(
      'WARNING: invalid entry (1 in the last 1.0s), e.g. userId must be an integer ' +
        'from 1 to 2^63 - 1, got a negative number',
    );
  });

  it('is kept within a bound for any values', async () => {
    const test = await started();
    const long = 'x'.repeat(1_000_000);
    test.ledger.intake.offer({ userId: -5, apiKeyId: long, serviceId: long, memo: long });
    await test.clock.advance(1000);
    const { entry } = test.letters[0]!;
    expect(entry).toMatchObject({ userId: -5, apiKeyId: long.slice(0, 8192) });
    expect(JSON.stringify(entry).length).toBeLessThan(20_000);
  });
});

describe('the log', () => {
  it('reports a full channel once a second with the count, and the return of room', async () => {
    const test = await started({ bufferSize: 3 });
    test.sink.failAlways(TRANSIENT);
    offer(test, 3);
    await test.clock.turn();
    offer(test, 3);
    for (let i = 0; i < 20; i++) {
      offer(test, 100);
      await test.clock.advance(100);
    }
    const full = 'WARNING: channel full, dropping entry (1000 dropped in the last 1.0s)';
    expect(test.lines.filter((line) => line === full)).toHaveLength(2);
    test.sink.failAlways(undefined);
    await test.clock.advance(7000);
    expect(test.lines.filter((line) => line.startsWith('WARNING: channel full'))).toHaveLength(2);
    expect(
      test.lines.some((line) =>
        /^channel has room again after \d+\.\ds, 2000 entries dropped$/.test(line),
      ),
    ).toBe(true);
    assertConservation(test.ledger.stats());
  });

  it('has at most one flush line a worker and second', async () => {
    const test = await started({ batchSize: 1, bufferSize: 1000 });
    for (let i = 0; i < 100; i++) {
      offer(test, 5);
      await test.clock.advance(25);
    }
    const lines = test.lines.filter((line) => line.startsWith('worker-0 flushed 1/1 entries in '));
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^worker-0 flushed 1\/1 entries in \d+ms \(\d+ entries\/sec\)$/);
  });
});

describe("the application's logger", () => {
  it('may throw at every line: all is written, and the stop completes', async () => {
    const fail = (): never => assert.fail('the transport has ended');
    const logger = { log: fail, warn: fail, error: fail };
    const { clock, sink } = ledgerUnderTest();
    const options = resolveLedgerOptions({ batchSize: 3, bufferSize: 9, retryMaxMs: 100 });
    const ledger = assembleLedger({
      ...{ table: PLAIN_TABLE, options, sink, clock, logger },
      deadLetters: { store: () => Promise.reject(new Error('no store')) },
      spills: { probe: async () => undefined, spill: () => Promise.reject(new Error('no disk')) },
    });
    void ledger.writer.start(() => undefined);
    sink.failNext({ kind: 'transient' }, 2);
    for (let i = 0; i < 12; i++) ledger.intake.offer({ userId: i });
    await clock.advance(5000);
    expect(ledger.stats()).toMatchObject({ written: 9, duplicate: 0, dropped: 2, invalid: 1 });
    const finish = ledger.shutdown.finish();
    await clock.advance(1000);
    expect(await finish).toMatchObject({ spilled: 0 });
    assertConservation(ledger.stats());
  });
});

describe('flush', () => {
  it('waits for entries accepted before it, and leaves the intake open', async () => {
    const test = await started({ batchSize: 10, flushMs: 60_000, numWorkers: 2 });
    offer(test, 25);
    test.sink.hold();
    let isDone: boolean | undefined;
    void test.ledger.writer.flush(1000).then((result) => (isDone = result));
    await test.clock.turn();
    offer(test, 1);
    test.sink.hold(false);
    while (test.sink.held.length > 1) test.sink.held[1]!.release();
    await test.clock.turn();
    expect(isDone, 'the first batch is still in flight').toBeUndefined();
    test.sink.held[0]!.release();
    await test.clock.turn();
    expect(isDone).toBe(true);
    expect(test.ledger.intake.offer({ userId: 1 })).toBe('queued');
    expect(test.clock.pendingHolds).toBe(0);
  });

  it('ends at its time limit', async () => {
    const test = await started();
    test.sink.failAlways(TRANSIENT);
    offer(test, 1);
    const flush = test.ledger.writer.flush(500);
    await test.clock.advance(500);
    expect(await flush).toBe(false);
    expect(test.ledger.stats().inFlight).toBe(1);
  });
});
