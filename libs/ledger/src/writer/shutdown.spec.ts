import type { LossReport } from '../ports/ledger-settings.interface.js';
import { describe, expect, it } from 'vitest';
import { PartlyWrittenError } from '../errors/partly-written.error.js';
import {
  assertConservation,
  ledgerUnderTest,
  start,
  type LedgerUnderTest,
} from '../testing/ledger-under-test.js';

const AWAY = { kind: 'transient' } as const;

function offer({ ledger }: LedgerUnderTest, count: number): string[] {
  return Array.from({ length: count }, () => ledger.intake.offer({ userId: 1 }));
}

async function started(options = {}): Promise<LedgerUnderTest> {
  const test = ledgerUnderTest({ batchSize: 10, flushMs: 60_000, ...options });
  await start(test);
  return test;
}

/** Nothing may be left that would call back or keep the process alive. */
function expectNothingLeft({ clock, ledger }: LedgerUnderTest): void {
  expect(clock.pendingHolds).toBe(0);
  expect(clock.pendingTimers).toBe(0);
  assertConservation(ledger.stats());
}

describe('Shutdown', () => {
  it.each([
    ['at work', true, undefined, true],
    ['that never began', false, undefined, true],
    ['at work, whose entries are lost', true, new Error('no disk'), false],
  ])('ends a flush that waits, with workers %s', async (_, isStarted, fault, isSettled) => {
    const test = isStarted ? await started() : ledgerUnderTest();
    test.sink.failAlways(AWAY);
    test.spillFault.error = fault;
    offer(test, 3);
    let result: boolean | undefined;
    void test.ledger.writer.flush(600_000).then((answer) => (result = answer));
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(11_000);
    await finish;
    expect(result).toBe(isSettled);
    expectNothingLeft(test);
  });

  it('spills entries at once that were accepted before a failed boot', async () => {
    const test = ledgerUnderTest();
    offer(test, 15);
    const failed = test.ledger.shutdown.fail();
    await test.clock.advance(150);
    expect(await failed).toMatchObject({ written: 0, spilled: 15 });
    expect(test.spilled).toHaveLength(15);
    expect(offer(test, 1), 'after the seal').toEqual(['queued']);
    expect(test.rows).toHaveLength(1);
    expect(await test.ledger.shutdown.finish()).toBe(await failed);
    await test.clock.advance(1000);
    expectNothingLeft(test);
  });

  it('reports the real duration of a failed boot, and nothing without entries', async () => {
    for (const [entries, lines] of [
      [15, 1],
      [0, 0],
    ] as const) {
      const test = ledgerUnderTest();
      offer(test, entries);
      const failed = test.ledger.shutdown.fail();
      await test.clock.advance(150);
      expect((await failed).ms).toBeLessThan(1_000);
      const told = test.lines.filter((line) => line.includes('drained:'));
      expect(told).toHaveLength(lines);
      if (lines > 0) expect(told[0]).toMatch(/15 spilled in \d{1,3}ms/);
    }
  });

  it('writes accepted entries, accepts those of running requests, and the counts add up', async () => {
    const test = await started();
    const { shutdown } = test.ledger;
    offer(test, 25);
    const drain = shutdown.drain();
    await test.clock.turn();
    await drain;
    expect(test.ledger.stats()).toMatchObject({ state: 'draining', written: 25 });
    expect(offer(test, 2)).toEqual(['queued', 'queued']);
    await test.clock.turn();
    expect(test.ledger.stats().written, 'written at once').toBe(27);
    offer(test, 3);
    const finish = shutdown.finish();
    expect(offer(test, 1), 'the seal comes a promise later').toEqual(['queued']);
    await test.clock.advance(200);
    expect(await finish).toMatchObject({ written: 31, duplicate: 0, spilled: 0 });
    expect(offer(test, 1), 'after the seal').toEqual(['queued']);
    expect(test.lines.at(-1)).toMatch(
      /^drained: 31 written, 0 duplicate, 0 dead-lettered, 0 spilled in \d+ms$/,
    );
    expect(test.ledger.stats().state).toBe('sealed');
    await test.clock.advance(2000);
    expectNothingLeft(test);
  });

  it('takes at most shutdownTimeoutMs, then spills the rest, oldest first', async () => {
    const test = await started({ shutdownTimeoutMs: 4000 });
    test.sink.failAlways(AWAY);
    offer(test, 25);
    const wait = test.ledger.awaited.record({ userId: 2 }, {}).catch((error: unknown) => error);
    const drain = test.ledger.shutdown.drain();
    await test.clock.advance(2000);
    await drain;
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(2000);
    expect(await finish).toMatchObject({ written: 0, spilled: 26 });
    expect(test.spilled).toHaveLength(26);
    const uuids = test.spilled.map(({ uuid }) => uuid);
    expect(uuids).toEqual([...uuids].sort());
    expect(test.spilled.every(({ mayExist }) => !mayExist)).toBe(true);
    expect(await wait).toMatchObject({ code: 'LEDGER_SPILLED', file: 'spill.ndjson' });
    expect(test.lines.at(-1)).toMatch(/^drained: 0 written, .* 26 spilled in \d+ms$/);
    await test.clock.advance(2000);
    expectNothingLeft(test);
  });

  it('spills a batch whose answer never comes, and marks that the table may contain it', async () => {
    const test = await started({ shutdownTimeoutMs: 1000 });
    test.sink.hold();
    offer(test, 10);
    await test.clock.turn();
    offer(test, 3);
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(1000);
    expect(await finish).toMatchObject({ spilled: 13 });
    expect(test.spilled.map(({ mayExist }) => mayExist)).toEqual([
      ...Array<boolean>(10).fill(true),
      ...Array<boolean>(3).fill(false),
    ]);
    test.sink.held[0]!.release();
    await test.clock.advance(2000);
    expect(test.ledger.stats(), 'the late answer changes nothing').toMatchObject({
      written: 0,
      spilled: 13,
      inFlight: 0,
      depth: 0,
    });
    expectNothingLeft(test);
  });

  it('keeps the process alive until the rest is spilled, even if nothing else does', async () => {
    const test = ledgerUnderTest({ shutdownTimeoutMs: 1000, batchSize: 1 });
    await start(test);
    test.sink.hold();
    test.ledger.intake.offer({ userId: 1 });
    const finished = test.ledger.shutdown.finish();
    for (let ms = 0; ms < 1000 && test.spilled.length === 0; ms += 10) {
      expect(test.clock.pendingHolds, `after ${ms} ms`).toBeGreaterThan(0);
      await test.clock.advance(10);
    }
    await finished;
    expect(test.spilled).toHaveLength(1);
    expect(test.clock.pendingHolds).toBe(0);
  });

  it('limits the last attempts to the time left', async () => {
    const test = await started({ shutdownTimeoutMs: 2000, writeTimeoutMs: 30_000 });
    test.sink.hold();
    offer(test, 3);
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(1000);
    test.sink.held[0]!.release(AWAY);
    await test.clock.advance(200);
    expect(test.sink.calls.at(-1)!.timeoutMs).toBeLessThan(1000);
    await test.clock.advance(2000);
    await finish;
    expect(test.ledger.stats()).toMatchObject({ spilled: 3 });
  });

  it('may be called twice: all callers share one stop', async () => {
    const test = await started();
    offer(test, 5);
    const { shutdown } = test.ledger;
    const calls = [shutdown.drain(), shutdown.drain(), shutdown.finish(), shutdown.finish()];
    await test.clock.advance(200);
    await Promise.all(calls);
    expect(test.lines.filter((line) => line.startsWith('drained:'))).toHaveLength(1);
    expect(shutdown.finish()).toBe(shutdown.finish());
  });

  it('may come before the start: what was accepted is spilled, not lost', async () => {
    const test = ledgerUnderTest({ shutdownTimeoutMs: 1000 });
    offer(test, 4);
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(1000);
    expect(await finish).toMatchObject({ spilled: 4 });
    await start(test);
    await test.clock.advance(2000);
    expect(test.sink.calls).toHaveLength(0);
    expectNothingLeft(test);
  });

  it('reports how many entries are lost if they can be neither written nor spilled', async () => {
    const told: LossReport[] = [];
    const onLoss = (loss: LossReport): void => void told.push(loss);
    const test = await started({ shutdownTimeoutMs: 1000, onLoss });
    test.sink.failAlways(AWAY);
    const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
    test.spillFault.error = new PartlyWrittenError(12, 'first.ndjson', full);
    offer(test, 9);
    const wait = () =>
      test.ledger.awaited.record({ userId: 1 }, {}).catch((error: unknown) => error);
    const answers = Array.from({ length: 7 }, wait);
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(1000);
    expect(await finish).toMatchObject({ spilled: 12 });
    expect(test.lines).toContain(
      '4 entries could be neither written nor spilled (ENOSPC) and are lost; ' +
        '12 before them were spilled to first.ndjson',
    );
    expect(told).toMatchObject([
      { kind: 'lost', count: 4, reason: 'ENOSPC' },
      { kind: 'spilled', count: 12, reason: 'first.ndjson' },
    ]);
    const codes = (await Promise.all(answers)).map((error) => (error as { code: string }).code);
    expect(codes).toEqual([
      ...Array<string>(3).fill('LEDGER_SPILLED'),
      ...Array<string>(4).fill('LEDGER_WAIT_TIMEOUT'),
    ]);
    expect(test.ledger.stats()).toMatchObject({ spilled: 12, inFlight: 4 });
    assertConservation(test.ledger.stats());
  });
});
