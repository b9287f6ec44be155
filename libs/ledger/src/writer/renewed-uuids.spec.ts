import { describe, expect, it } from 'vitest';
import { createRowEncoder } from '../sink-kit/row-encoder.js';
import { rowBatch } from '../sink-kit/sink-trial.js';
import {
  assertConservation,
  ledgerUnderTest,
  PLAIN_TABLE,
  start,
  type LedgerUnderTest,
} from '../testing/ledger-under-test.js';

const ATTEMPT = { timeoutMs: 1_000, isAwaited: false, mayExist: false };

/** Another writer's row under a uuid, with content that no entry here has. */
async function foreign({ sink }: LedgerUnderTest, uuid: string): Promise<void> {
  const encode = createRowEncoder(PLAIN_TABLE);
  const row = encode({ uuid, userId: 666, promptTokens: 1 });
  await sink.write(rowBatch([row]), ATTEMPT);
  sink.calls.length = 0;
}

/** The uuids of the run's next entries, which follow from any known one. */
async function nextUuids(test: LedgerUnderTest, count: number): Promise<string[]> {
  const { uuid } = await test.ledger.awaited.record({ userId: 1 }, { until: 'queued' });
  await test.clock.advance(100);
  const last = BigInt(`0x${uuid.replaceAll('-', '')}`);
  return Array.from({ length: count }, (_, index) => {
    const hex = (last + BigInt(index + 1)).toString(16).padStart(32, '0');
    return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
  });
}

async function started(options = {}): Promise<LedgerUnderTest> {
  const test = ledgerUnderTest({ batchSize: 4, flushMs: 50, numWorkers: 1, ...options });
  await start(test);
  return test;
}

const createdAtOf = (test: LedgerUnderTest): Date => new Date(test.clock.now());

describe('entries whose uuid another writer has used', () => {
  it('are written under a new uuid, and the others of their batch under their own', async () => {
    const test = await started();
    const createdAt = createdAtOf(test);
    const uuids = await nextUuids(test, 4);
    await foreign(test, uuids[1]!);
    await foreign(test, uuids[3]!);
    for (let i = 0; i < 4; i++) test.ledger.intake.offer({ userId: i + 10, createdAt });
    await test.clock.advance(1_000);
    const stats = test.ledger.stats();
    expect(stats).toMatchObject({ written: 5, conflicts: 0, deadLettered: 0, renewedUuids: 2 });
    expect(test.sink.rows.size).toBe(7);
    expect([...test.sink.rows.keys()]).toEqual(expect.arrayContaining(uuids));
    expect(test.lines.filter((line) => line.includes('renewedUuids'))).toHaveLength(1);
    assertConservation(stats);
  });

  it('get new uuids one by one, while each row is tried separately', async () => {
    const test = await started({ retryMaxMs: 100 });
    const createdAt = createdAtOf(test);
    const [taken = ''] = await nextUuids(test, 1);
    await foreign(test, taken);
    test.sink.refuse(taken);
    test.ledger.intake.offer({ userId: 10, createdAt });
    await test.clock.advance(60);
    // It is held, because nothing shows yet whether the row or the table is at fault.
    test.sink.accept(taken);
    await test.clock.advance(2_000);
    const stats = test.ledger.stats();
    expect(test.sink.calls.some(({ isEach }) => isEach === true)).toBe(true);
    expect(stats).toMatchObject({ written: 2, deadLettered: 0, renewedUuids: 1, inFlight: 0 });
    assertConservation(stats);
  });

  it('report their new uuid to a caller who waits for the commit', async () => {
    const test = await started();
    const createdAt = createdAtOf(test);
    const [taken = ''] = await nextUuids(test, 1);
    await foreign(test, taken);
    const waits = test.ledger.awaited.record({ userId: 10, createdAt }, {});
    await test.clock.advance(100);
    const { uuid, outcome } = await waits;
    expect(outcome).toBe('written');
    expect(uuid).not.toBe(taken);
    expect(test.sink.rows.has(uuid)).toBe(true);
    // The time stays, because the table may be partitioned by it.
    expect(uuid.slice(0, 13)).toBe(taken.slice(0, 13));
  });

  it('stay conflicts if a caller already knows or chose the uuid', async () => {
    const test = await started();
    const createdAt = createdAtOf(test);
    const [taken = ''] = await nextUuids(test, 1);
    await foreign(test, taken);
    await test.ledger.awaited.record({ userId: 10, createdAt }, { until: 'queued' });
    test.ledger.intake.offer({ uuid: '01890a5d-ac96-774b-bcce-b302099a8001', userId: 1 });
    test.ledger.intake.offer({ uuid: '01890a5d-ac96-774b-bcce-b302099a8001', userId: 2 });
    await test.clock.advance(1_000);
    const stats = test.ledger.stats();
    expect(stats).toMatchObject({ conflicts: 2, deadLettered: 2, renewedUuids: 0 });
    assertConservation(stats);
  });

  it('stay conflicts after an attempt of unknown outcome: the row may be their own', async () => {
    const test = await started();
    const createdAt = createdAtOf(test);
    const [taken = ''] = await nextUuids(test, 1);
    await foreign(test, taken);
    test.sink.failNext({ kind: 'transient', outcomeKnown: false });
    test.ledger.intake.offer({ userId: 10, createdAt });
    await test.clock.advance(5_000);
    const stats = test.ledger.stats();
    expect(stats).toMatchObject({ conflicts: 1, deadLettered: 1, renewedUuids: 0 });
    assertConservation(stats);
  });
});
