import { describe, expect, it } from 'vitest';
import { assertConservation, ledgerUnderTest, start } from '../testing/ledger-under-test.js';

const FULL = { kind: 'transient', sqlState: '53300' } as const;

describe('a server out of connections', () => {
  it('gets fewer connection requests for a while, and the log reports it', async () => {
    const test = ledgerUnderTest({ batchSize: 1, flushMs: 10, numWorkers: 4, retryMaxMs: 200 });
    await start(test);
    const { sink, clock, ledger, lines } = test;
    const record = (count: number): void => {
      for (let i = 0; i < count; i++) ledger.intake.offer({ userId: 1 });
    };
    sink.failNext(FULL, 4);
    record(4);
    await clock.advance(500);
    expect(ledger.stats()).toMatchObject({ written: 4, inFlight: 0 });
    sink.hold();
    record(8);
    await clock.advance(100);
    expect(sink.held, 'one attempt at a time').toHaveLength(1);
    await clock.advance(10_000);
    expect(sink.held, 'one more after ten seconds').toHaveLength(2);
    await clock.advance(20_000);
    expect(sink.held, 'all of them in the end').toHaveLength(4);
    const told = lines.filter((line) => line.includes('workers') && !line.includes('started'));
    expect(told).toEqual([
      'WARNING: the server has no connection left (53300): using 2 of 4 workers for now',
      'WARNING: the server has no connection left (53300): using 1 of 4 workers for now',
      'using all 4 workers again',
    ]);
    sink.hold(false);
    for (const held of [...sink.held]) held.release();
    await clock.advance(100);
    expect(ledger.stats()).toMatchObject({ written: 12, inFlight: 0 });
    assertConservation(ledger.stats());
  });

  it('does not delay a drain: waiting batches are spilled at the deadline', async () => {
    const test = ledgerUnderTest({
      ...{ batchSize: 1, flushMs: 10, numWorkers: 4 },
      ...{ retryMaxMs: 200, shutdownTimeoutMs: 1000 },
    });
    await start(test);
    const { sink, clock, ledger, spilled } = test;
    sink.failAlways(FULL);
    for (let i = 0; i < 6; i++) ledger.intake.offer({ userId: 1 });
    await clock.advance(500);
    const finish = ledger.shutdown.finish();
    await clock.advance(1000);
    await finish;
    expect(spilled).toHaveLength(6);
    expect(ledger.stats()).toMatchObject({ spilled: 6, inFlight: 0, depth: 0 });
    expect(clock.pendingHolds).toBe(0);
  });
});
