import { describe, expect, it } from 'vitest';
import { readUuid } from '../codec/uuid.js';
import {
  assertConservation,
  ledgerUnderTest,
  start,
  type LedgerUnderTest,
} from '../testing/ledger-under-test.js';

const TRANSIENT = { kind: 'transient' } as const;

function offer({ ledger }: LedgerUnderTest, count: number, more: object = {}): void {
  for (let i = 0; i < count; i++) ledger.intake.offer({ userId: 1, ...more });
}

function batchSizes({ sink }: LedgerUnderTest): number[] {
  return sink.calls.map(({ count }) => count);
}

async function started(options = {}): Promise<LedgerUnderTest> {
  const test = ledgerUnderTest({ batchSize: 3, flushMs: 100, ...options });
  await start(test);
  return test;
}

describe('a batch is due', () => {
  it('when it is full, after one turn of the loop', async () => {
    const test = await started();
    offer(test, 7);
    expect(test.sink.calls).toHaveLength(0);
    await test.clock.turn();
    expect(batchSizes(test)).toEqual([3, 3]);
    expect(test.ledger.stats()).toMatchObject({ written: 6, depth: 1 });
  });

  it('when its oldest entry is flushMs old, never later, with one batch for all workers', async () => {
    const test = await started({ numWorkers: 4, batchSize: 50 });
    for (let i = 0; i < 10; i++) {
      offer(test, 1);
      await test.clock.advance(30);
    }
    expect(batchSizes(test)).toEqual([4, 4]);
    await test.clock.advance(60);
    expect(batchSizes(test)).toEqual([4, 4, 2]);
  });

  it('flushMs after an entry that arrived while a flush was under way', async () => {
    const test = await started({ batchSize: 50 });
    offer(test, 1);
    test.sink.hold();
    await test.clock.advance(100);
    offer(test, 1);
    await test.clock.advance(40);
    test.sink.hold(false);
    test.sink.held[0]!.release();
    await test.clock.advance(59);
    expect(batchSizes(test)).toEqual([1]);
    await test.clock.advance(1);
    expect(batchSizes(test)).toEqual([1, 1]);
  });

  it('when a caller waits for its commit: a hundred callers make a handful of batches', async () => {
    const test = await started({ batchSize: 1000, numWorkers: 4, flushMs: 10_000 });
    const waits: Promise<unknown>[] = [];
    const call = (): void => void waits.push(test.ledger.awaited.record({ userId: 1 }, {}));
    for (let i = 0; i < 50; i++) call();
    test.sink.hold();
    await test.clock.turn();
    for (let i = 0; i < 50; i++) call();
    await test.clock.turn();
    expect(batchSizes(test), 'at most one part-filled awaited batch in flight').toEqual([50]);
    test.sink.hold(false);
    test.sink.held[0]!.release();
    await test.clock.turn();
    expect(batchSizes(test)).toEqual([50, 50]);
    expect(test.sink.calls.every(({ isAwaited }) => isAwaited)).toBe(true);
    expect(await Promise.all(waits)).toHaveLength(100);
  });

  it('at 16 MiB, for any count', async () => {
    const test = await started({ batchSize: 100_000, bufferSize: 100_000 });
    offer(test, 2200, { memo: 'm'.repeat(8192) });
    await test.clock.turn();
    expect(batchSizes(test)).toHaveLength(1);
    expect(test.sink.calls[0]!.count).toBeGreaterThan(2000);
    expect(test.ledger.stats().depth).toBeGreaterThan(100);
  });

  it('keeps no timer while nothing waits', async () => {
    const test = await started();
    offer(test, 2);
    await test.clock.advance(200);
    expect(test.clock.pendingTimers).toBe(0);
  });
});

describe('when writing fails for a while', () => {
  it('keeps the batch, probes one at a time, oldest first, and writes all once it is back', async () => {
    const test = await started({ numWorkers: 3, retryMinMs: 100, retryMaxMs: 1000 });
    test.sink.failAlways(TRANSIENT);
    offer(test, 9);
    await test.clock.turn();
    const first = test.sink.calls.length;
    expect(first).toBe(3);
    await test.clock.advance(10_000);
    const probes = test.sink.calls.slice(first);
    expect(probes.length).toBeGreaterThan(10);
    expect(probes.length).toBeLessThan(30);
    expect(new Set(probes.map(({ uuids }) => readUuid(uuids[0]!)?.sequence))).toEqual(new Set([0]));
    expect(test.ledger.stats()).toMatchObject({ inFlight: 9, state: 'running', written: 0 });
    expect(test.ledger.stats().reason).toContain('made the sink fail');
    test.sink.failAlways(undefined);
    await test.clock.advance(1000);
    expect(test.ledger.stats()).toMatchObject({ inFlight: 0, written: 9, reason: null });
    expect(test.lines.filter((line) => line.startsWith('writing fails'))).toHaveLength(1);
    expect(test.lines.some((line) => /^writing again after \d/.test(line))).toBe(true);
    assertConservation(test.ledger.stats());
  });

  it('writes a batch of unknown outcome with the skipping statement: existing rows are duplicates', async () => {
    const test = await started();
    test.sink.failNext({ kind: 'transient', rows: 'in' });
    const wait = test.ledger.awaited.record({ userId: 1 }, {});
    await test.clock.advance(200);
    expect(test.sink.calls.map(({ mayExist }) => mayExist)).toEqual([false, true]);
    expect(await wait).toMatchObject({ outcome: 'duplicate' });
    expect(test.ledger.stats()).toMatchObject({ written: 0, duplicate: 1, retries: 1 });
    assertConservation(test.ledger.stats());
  });

  it('skips nothing when the outcome is known', async () => {
    const test = await started();
    test.sink.failNext({ kind: 'transient', rows: 'none' });
    offer(test, 3);
    await test.clock.advance(200);
    expect(test.sink.calls.map(({ mayExist }) => mayExist)).toEqual([false, false]);
    expect(test.ledger.stats()).toMatchObject({ written: 3, duplicate: 0 });
  });

  it('halts while the server refuses all batches, and continues by itself', async () => {
    const test = await started({ retryMaxMs: 1000 });
    test.sink.failAlways({ kind: 'halt' });
    offer(test, 3);
    await test.clock.advance(10_500);
    expect(test.ledger.stats()).toMatchObject({ state: 'halted', inFlight: 3 });
    expect(test.sink.calls.length, 'tries slowly').toBeLessThan(13);
    test.sink.failAlways(undefined);
    await test.clock.advance(1000);
    expect(test.ledger.stats()).toMatchObject({ state: 'running', written: 3 });
  });

  it('waits for the table before the first batch, however long it takes', async () => {
    const test = ledgerUnderTest({ batchSize: 3, flushMs: 100 });
    test.sink.failAlways(TRANSIENT);
    offer(test, 5);
    await start(test);
    await test.clock.advance(60_000);
    expect(test.ledger.stats()).toMatchObject({ state: 'starting', depth: 5, inFlight: 0 });
    test.sink.failAlways(undefined);
    await test.clock.advance(10_000);
    expect(test.ledger.stats()).toMatchObject({ state: 'running', written: 5 });
  });
});

describe('a poison entry', () => {
  it('is dead-lettered after the rest is written, with its reason, and its caller is notified', async () => {
    const test = await started({ batchSize: 5 });
    const bad = '01890a5d-ac96-774b-bcce-b302099a8058';
    test.sink.refuse(bad, '23514');
    offer(test, 2);
    const wait = test.ledger.awaited.record({ userId: 1, uuid: bad, memo: 'whole' }, {});
    const failure = wait.catch((error: unknown) => error);
    offer(test, 2);
    await test.clock.turn();
    expect(batchSizes(test), 'once more after the rest, by itself').toEqual([5, 4, 1]);
    expect(await failure).toMatchObject({
      code: 'LEDGER_DEAD_LETTERED',
      uuid: bad,
      reason: 'refused',
      sqlState: '23514',
    });
    expect(test.letters).toMatchObject([
      { uuid: bad, reason: 'refused', sqlState: '23514', attempts: 2, entry: { memo: 'whole' } },
    ]);
    expect(test.ledger.stats()).toMatchObject({ written: 4, deadLettered: 1, inFlight: 0 });
    expect([...test.sink.rows.keys()]).not.toContain(bad);
    assertConservation(test.ledger.stats());
  });

  it('is found by halving if the server names no row', async () => {
    const test = await started({ batchSize: 8 });
    test.sink.failNext({ kind: 'row', sqlState: '23503' });
    test.sink.failNext({ kind: 'row', sqlState: '23503' });
    test.sink.failNext({ kind: 'row', sqlState: '23503' });
    test.sink.failNext({ kind: 'row', sqlState: '23503' });
    offer(test, 8);
    await test.clock.turn();
    expect(batchSizes(test)).toEqual([8, 4, 2, 1, 1, 2, 4, 1]);
    expect(test.ledger.stats()).toMatchObject({ written: 7, deadLettered: 1 });
    expect(test.letters[0]!.sqlState).toBe('23503');
  });

  it('of unknown outcome is looked up: once found, the trouble is over', async () => {
    const test = await started({ batchSize: 1, retryMinMs: 1, retryMaxMs: 1 });
    const uuid = '01890a5d-ac96-774b-bcce-b302099a8058';
    test.sink.failNext({ kind: 'transient', rows: 'in' });
    test.sink.refuse(uuid);
    test.sink.hold();
    offer(test, 1, { uuid });
    await test.clock.turn();
    test.sink.held[0]!.release();
    await test.clock.advance(10);
    test.sink.failAlways({ kind: 'halt' });
    test.sink.hold(false);
    test.sink.held[0]!.release({ kind: 'row', rowNumber: 1 });
    await test.clock.advance(10);
    expect(test.ledger.stats()).toMatchObject({ state: 'halted', inFlight: 1 });
    test.sink.failAlways(undefined);
    await test.clock.advance(10);
    expect(test.ledger.stats()).toMatchObject({ duplicate: 1, inFlight: 0 });
    expect(test.ledger.stats()).toMatchObject({ state: 'running', reason: null });
  });

  it('of unknown outcome is no duplicate of an entry with other content', async () => {
    const test = await started({ batchSize: 1, retryMinMs: 1, retryMaxMs: 1 });
    const uuid = '01890a5d-ac96-774b-bcce-b302099a8058';
    offer(test, 1, { uuid, memo: 'first' });
    await test.clock.turn();
    test.sink.failNext({ kind: 'transient', rows: 'in' });
    test.sink.refuse(uuid);
    offer(test, 1, { uuid, memo: 'second' });
    await test.clock.advance(100);
    expect(test.ledger.stats()).toMatchObject({ written: 1, duplicate: 0, deadLettered: 1 });
    expect(test.letters).toMatchObject([{ uuid, reason: 'refused', entry: { memo: 'second' } }]);
    assertConservation(test.ledger.stats());
  });

  it('with a uuid taken by other content is a conflict, with equal content a duplicate', async () => {
    const test = await started();
    const uuid = '01890a5d-ac96-774b-bcce-b302099a8058';
    const createdAt = new Date(Date.UTC(2026, 0, 1));
    offer(test, 1, { uuid, createdAt });
    offer(test, 1, { uuid, createdAt });
    const wait = test.ledger.awaited.record({ userId: 2, uuid, createdAt }, {});
    const failure = wait.catch((error: unknown) => error);
    await test.clock.turn();
    expect(await failure).toMatchObject({ reason: 'conflict', uuid });
    expect(test.ledger.stats()).toMatchObject({
      written: 1,
      duplicate: 1,
      deadLettered: 1,
      conflicts: 1,
    });
    expect(test.letters).toMatchObject([{ uuid, reason: 'conflict', entry: { userId: '2' } }]);
    assertConservation(test.ledger.stats());
  });
});
