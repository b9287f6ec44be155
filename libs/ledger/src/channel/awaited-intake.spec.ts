import { describe, expect, it } from 'vitest';
import { ledgerUnderTest, start } from '../testing/ledger-under-test.js';

const codeOf = (error: unknown): unknown => (error as { code?: string }).code;

describe('a waiting caller', () => {
  it('keeps the process alive until its answer, because a script may have nothing else to do', async () => {
    const test = ledgerUnderTest({ bufferSize: 1, batchSize: 1 });
    const { ledger, clock, sink } = test;
    sink.failAlways({ kind: 'transient' });
    const commit = ledger.awaited.record({ userId: 1 }, {});
    const room = ledger.awaited.record({ userId: 2 }, { until: 'queued', timeoutMs: 600_000 });
    expect(clock.pendingHolds, 'one for all').toBe(1);
    await start(test);
    await clock.advance(10_000);
    expect(clock.pendingHolds).toBe(1);
    sink.failAlways(undefined);
    await clock.advance(10_000);
    expect(await commit).toMatchObject({ outcome: 'written' });
    expect(await room).toMatchObject({ outcome: 'queued' });
    expect(clock.pendingHolds).toBe(0);
  });

  it('releases the process once the ledger is sealed, even if its entry is lost', async () => {
    const test = ledgerUnderTest({ shutdownTimeoutMs: 100, commitTimeoutMs: 60_000 });
    const { ledger, clock } = test;
    test.spillFault.error = new Error('no disk');
    const wait = ledger.awaited.record({ userId: 1 }, {}).catch(codeOf);
    const finished = ledger.shutdown.fail();
    await clock.advance(1000);
    await finished;
    expect(clock.pendingHolds).toBe(0);
    const late = ledger.awaited.record({ userId: 1 }, {}).catch(codeOf);
    expect(clock.pendingHolds).toBe(0);
    expect(await late).toBe('LEDGER_SEALED');
    await clock.advance(60_000);
    expect(await wait).toBe('LEDGER_WAIT_TIMEOUT');
    expect(clock.pendingHolds).toBe(0);
  });

  it('does not keep the process alive for invalid options', async () => {
    const { ledger, clock } = ledgerUnderTest();
    const wait = ledger.awaited.record({ userId: 1 }, { timeoutMs: Number.NaN });
    await expect(wait).rejects.toThrow(TypeError);
    expect(clock.pendingHolds).toBe(0);
  });
});
