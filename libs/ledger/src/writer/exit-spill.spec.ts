import { describe, expect, it, onTestFinished } from 'vitest';
import { RowCodec } from '../codec/row-codec.js';
import { readUuid } from '../codec/uuid.js';
import type { LossReport } from '../ports/ledger-settings.interface.js';
import type { SpilledRows } from '../ports/spill-store.interface.js';
import { SHARED } from '../segments/at-exit.js';
import { rowsOf } from '../segments/row-frame.js';
import { createRowSpill, watchExit } from '../create-row-spill.js';
import {
  assertConservation,
  ledgerUnderTest,
  PLAIN_TABLE,
  start,
  type LedgerUnderTest,
} from '../testing/ledger-under-test.js';

const COLUMNS = 11;

function offer({ ledger }: LedgerUnderTest, count: number): void {
  for (let i = 0; i < count; i++) expect(ledger.intake.offer({ userId: i + 1 })).toBe('queued');
}

/** Sequences of the spilled rows, each with its position. */
function spilledOf(rows: readonly SpilledRows[]): [position: number, sequence: number][] {
  return rows.flatMap(({ slices, count, position }) => {
    const all = [...rowsOf(Buffer.concat(slices), COLUMNS)];
    expect(all).toHaveLength(count);
    return all.map((row, index): [number, number] => {
      return [position + index, readUuid(RowCodec.uuidOf(row))!.sequence];
    });
  });
}

/** Ledgers of other tests in this process may already share a listener. */
function ownListener(): void {
  const host = process as { [SHARED]?: unknown };
  const others = host[SHARED];
  delete host[SHARED];
  onTestFinished(() => void (host[SHARED] = others));
}

const range = (count: number): [number, number][] =>
  Array.from({ length: count }, (_, index) => [index, index]);

describe('ExitSpill', () => {
  it('spills entries that wait, are in flight or wait for room, each once, and the law holds', async () => {
    const reports: LossReport[] = [];
    const onLoss = (report: LossReport): void => void reports.push(report);
    const test = ledgerUnderTest({ batchSize: 3, bufferSize: 10, numWorkers: 2, onLoss });
    await start(test);
    test.sink.hold();
    offer(test, 10);
    await test.clock.turn();
    offer(test, 6);
    const waits = [1, 2].map((userId) =>
      test.ledger.awaited.record({ userId }, { until: 'queued' }),
    );
    await test.clock.turn();
    expect(test.ledger.stats()).toMatchObject({ inFlight: 6, depth: 10, waiting: 2 });
    test.ledger.exit.run();
    expect(await Promise.all(waits)).toMatchObject([{ outcome: 'queued' }, { outcome: 'queued' }]);
    const spilled = spilledOf(test.rows).toSorted(([a], [b]) => a - b);
    expect(spilled).toEqual(range(18));
    expect(test.ledger.stats()).toMatchObject({ spilled: 18, depth: 0, inFlight: 0, waiting: 0 });
    assertConservation(test.ledger.stats());
    expect(reports.reduce((sum, { count }) => sum + count, 0)).toBe(18);
    expect(new Set(reports.map(({ kind }) => kind))).toEqual(new Set(['spilled']));
    expect(test.lines).toContain(
      'the process exits with 16 entries not written: spilled to spill.wal',
    );
    test.sink.held[0]!.release();
    await test.clock.turn();
    expect(test.ledger.stats(), 'an answer that comes all the same').toMatchObject({ written: 0 });
  });

  it('records open calls first, as at the deadline of a stop', async () => {
    const test = ledgerUnderTest();
    await start(test);
    offer(test, 2);
    const { openCalls } = test.ledger;
    for (let i = 0; i < 3; i++) openCalls.add({ abort: () => offer(test, 1) });
    test.ledger.exit.run();
    expect(spilledOf(test.rows)).toEqual(range(5));
    expect(openCalls.size).toBe(0);
    expect(test.ledger.stats()).toMatchObject({ queued: 5, spilled: 5 });
    assertConservation(test.ledger.stats());
    expect(test.lines).toContain(
      'WARNING: the process exits while 3 calls are still running: they are recorded as aborted',
    );
  });

  it('keeps entries that a later exit listener records', async () => {
    const test = ledgerUnderTest();
    await start(test);
    offer(test, 2);
    test.ledger.exit.run();
    offer(test, 3);
    expect(spilledOf(test.rows)).toEqual(range(5));
    assertConservation(test.ledger.stats());
  });

  it('writes nothing if all is written, or if it is called twice', async () => {
    const test = ledgerUnderTest();
    await start(test);
    offer(test, 3);
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(200);
    await finish;
    const lines = test.lines.length;
    test.ledger.exit.run();
    test.ledger.exit.run();
    expect(test.rows).toEqual([]);
    expect(test.lines).toHaveLength(lines);
  });

  it('spills entries that a shutdown was about to spill', async () => {
    const test = ledgerUnderTest({ shutdownTimeoutMs: 1000 });
    await start(test);
    test.sink.failAlways({ kind: 'transient' });
    offer(test, 4);
    void test.ledger.shutdown.finish();
    // Up to the deadline, but not to the end of the spill.
    await test.clock.advance(830);
    test.ledger.exit.run();
    expect(spilledOf(test.rows)).toEqual(range(4));
  });

  it('retries entries that neither database nor disk took at a stop', async () => {
    const test = ledgerUnderTest({ shutdownTimeoutMs: 1000 });
    await start(test);
    test.sink.failAlways({ kind: 'transient' });
    test.spillFault.error = new Error('no disk');
    offer(test, 4);
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(2000);
    await finish;
    expect(test.ledger.stats()).toMatchObject({ spilled: 0, inFlight: 4 });
    test.spillFault.error = undefined;
    test.ledger.exit.run();
    expect(spilledOf(test.rows)).toEqual(range(4));
    expect(test.ledger.stats()).toMatchObject({ spilled: 4, inFlight: 0 });
    assertConservation(test.ledger.stats());
  });

  it('reports how many are lost if no file takes them, and the law holds', async () => {
    const test = ledgerUnderTest();
    await start(test);
    test.spillFault.error = new Error('no disk');
    offer(test, 3);
    test.ledger.exit.run();
    expect(test.lines.at(-1)).toBe(
      'the process exits, and 3 entries could not be spilled: they are lost',
    );
    assertConservation(test.ledger.stats());
    expect(test.ledger.intake.offer({ userId: 1 })).toBe('sealed');
    assertConservation(test.ledger.stats());
  });

  it('listens from the first call on, which may end the process before any entry', async () => {
    ownListener();
    const test = ledgerUnderTest();
    await start(test);
    const target = (): { table: string } => ({ table: 'usage_entries' });
    watchExit(test.ledger, createRowSpill(PLAIN_TABLE, 'not-made', target));
    const before = process.listenerCount('exit');
    test.ledger.openCalls.begin()();
    expect(process.listenerCount('exit')).toBe(before + 1);
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(200);
    await finish;
    expect(process.listenerCount('exit')).toBe(before);
  });

  it('does not listen for a first call after the end', async () => {
    ownListener();
    const test = ledgerUnderTest();
    await start(test);
    const target = (): { table: string } => ({ table: 'usage_entries' });
    watchExit(test.ledger, createRowSpill(PLAIN_TABLE, 'not-made', target));
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(200);
    await finish;
    const before = process.listenerCount('exit');
    test.ledger.openCalls.begin()();
    expect(process.listenerCount('exit')).toBe(before);
  });

  it('has one listener for all ledgers, removed with the last ledger', async () => {
    ownListener();
    const before = process.listenerCount('exit');
    const tests = [ledgerUnderTest(), ledgerUnderTest()];
    for (const test of tests) {
      await start(test);
      test.ledger.exit.arm();
      test.ledger.exit.arm();
    }
    expect(process.listenerCount('exit')).toBe(before + 1);
    for (const test of tests) {
      const finish = test.ledger.shutdown.finish();
      await test.clock.advance(200);
      await finish;
    }
    expect(process.listenerCount('exit')).toBe(before);
    tests[0]!.ledger.exit.noteFile(true);
    expect(process.listenerCount('exit'), 'a file of late rows is open').toBe(before + 1);
    tests[0]!.ledger.exit.noteFile(false);
    expect(process.listenerCount('exit')).toBe(before);
  });
});
