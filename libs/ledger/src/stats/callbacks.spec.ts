import type { LossReport } from '../ports/ledger-settings.interface.js';
import { describe, expect, it } from 'vitest';
import { RowCodec } from '../codec/row-codec.js';
import { readUuid } from '../codec/uuid.js';
import {
  assertConservation,
  ledgerUnderTest,
  start,
  type LedgerUnderTest,
} from '../testing/ledger-under-test.js';

describe('onLoss', () => {
  it('reports each kind at most once a second, with the total lost', async () => {
    const reports: LossReport[] = [];
    const onLoss = (report: LossReport): void => void reports.push(report);
    const test = ledgerUnderTest({ bufferSize: 2, batchSize: 2, flushMs: 60_000, onLoss });
    for (let second = 0; second < 3; second++) {
      for (let i = 0; i < 50; i++) test.ledger.intake.offer({ userId: 1 });
      for (let i = 0; i < 7; i++) test.ledger.intake.offer({ userId: 0 });
      await test.clock.advance(1000);
    }
    const dropped = reports.filter(({ kind }) => kind === 'dropped');
    expect(dropped.map(({ count }) => count)).toEqual([48, 50, 50]);
    expect(dropped[0]!.since).toEqual(new Date(Date.UTC(2026, 0, 1)));
    const invalid = reports.filter(({ kind }) => kind === 'invalid');
    expect(invalid.map(({ count }) => count)).toEqual([7, 7, 7]);
    expect(invalid[0]!.reason).toMatch(/^userId must be an integer from 1/);
    expect(test.ledger.stats()).toMatchObject({ dropped: 148, invalid: 21 });
  });

  it('has reason and SQLSTATE of dead letters, and the file of spills', async () => {
    const reports: LossReport[] = [];
    const onLoss = (report: LossReport): void => void reports.push(report);
    const test = ledgerUnderTest({ batchSize: 1, shutdownTimeoutMs: 1000, onLoss });
    await start(test);
    test.sink.failNext({ kind: 'row', rowNumber: 1, sqlState: '23514' });
    test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(1000);
    // The server accepts another row, so the table is not at fault.
    test.ledger.intake.offer({ userId: 3 });
    await test.clock.advance(1000);
    expect(reports).toMatchObject([{ kind: 'deadLettered', count: 1, sqlState: '23514' }]);
    test.sink.failAlways({ kind: 'transient' });
    test.ledger.intake.offer({ userId: 2 });
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(1000);
    await finish;
    expect(reports.at(-1)).toMatchObject({ kind: 'spilled', count: 1, reason: 'spill.ndjson' });
  });

  it('has reason and SQLSTATE of the same dead letter if there are several', async () => {
    const reports: LossReport[] = [];
    const onLoss = (report: LossReport): void => void reports.push(report);
    const test = ledgerUnderTest({ batchSize: 1, onLoss });
    await start(test);
    test.sink.failNext({ kind: 'row', rowNumber: 1, sqlState: '23514' });
    test.ledger.intake.offer({ userId: 1 });
    const uuid = '01890a5d-ac96-774b-bcce-b302099a8057';
    for (const userId of [1, 2]) test.ledger.intake.offer({ userId, uuid });
    await test.clock.advance(1000);
    expect(test.ledger.stats()).toMatchObject({ deadLettered: 2, conflicts: 1 });
    expect(reports).toMatchObject([{ kind: 'deadLettered', count: 2, reason: 'conflict' }]);
    expect(reports[0]!.sqlState).toBeUndefined();
    expect(test.lines).toContain('WARNING: dead-lettered 2 entries in the last 1.0s: conflict');
  });

  async function stopped(): Promise<{ test: LedgerUnderTest; reports: LossReport[] }> {
    const reports: LossReport[] = [];
    const onLoss = (report: LossReport): void => void reports.push(report);
    const test = ledgerUnderTest({ onLoss });
    await start(test);
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(200);
    await finish;
    return { test, reports };
  }

  it('reports entries that came after the seal and were spilled to a file', async () => {
    const { test, reports } = await stopped();
    const { intake, awaited } = test.ledger;
    expect(intake.offerMany([{ userId: 1 }, { userId: 2 }])).toMatchObject({ queued: 2 });
    expect(intake.offer({})).toBe('invalid');
    await expect(awaited.record({ userId: 3 }, {})).rejects.toMatchObject({
      code: 'LEDGER_SPILLED',
      file: 'spill.wal',
    });
    expect(await awaited.record({ userId: 4 }, { until: 'queued' })).toMatchObject({
      outcome: 'queued',
    });
    assertConservation(test.ledger.stats());
    await test.clock.advance(1000);
    expect(reports).toMatchObject([{ kind: 'spilled', count: 4 }, { kind: 'invalid' }]);
    expect(test.lines).toContain(
      'WARNING: sealed, spilling entry (4 spilled in the last 1.0s) to spill.wal',
    );
    expect(test.rows.map(({ position }) => position)).toEqual([0, 1, 2, 3]);
    const sequences = test.rows.map(({ slices }) => {
      return readUuid(RowCodec.uuidOf(Buffer.concat(slices)))?.sequence;
    });
    expect(sequences, 'no hole, and none twice').toEqual([0, 1, 2, 3]);
    expect(test.ledger.stats()).toMatchObject({ queued: 4, spilled: 4, sealed: 0 });
  });

  it('reports entries that came after the seal and that no file took', async () => {
    const { test, reports } = await stopped();
    test.spillFault.error = new Error('no disk');
    for (let i = 0; i < 3; i++) test.ledger.intake.offer({ userId: 1 });
    await expect(test.ledger.awaited.record({ userId: 1 }, {})).rejects.toThrow('sealed');
    await test.clock.advance(1000);
    expect(reports).toMatchObject([{ kind: 'sealed', count: 4 }]);
    expect(test.lines.at(-1)).toBe('WARNING: sealed, refusing entry (4 refused in the last 1.0s)');
    expect(test.clock.pendingTimers).toBe(0);
    assertConservation(test.ledger.stats());
  });

  it('measures durations with a monotonic clock', async () => {
    const test = ledgerUnderTest({ bufferSize: 2, batchSize: 2, flushMs: 60_000 });
    for (let i = 0; i < 5; i++) test.ledger.intake.offer({ userId: 1 });
    test.clock.setNow(test.clock.now() - 3_600_000);
    await test.clock.advance(1000);
    await start(test);
    test.clock.setNow(test.clock.now() + 7_200_000);
    await test.clock.advance(1000);
    expect(test.lines[0]).toMatch(/3 dropped in the last 1\.0s/);
    expect(test.lines.at(-1)).toBe('channel has room again after 2.0s, 3 entries dropped');
  });

  it('may throw: the error is counted, and has no other effect', async () => {
    const onLoss = (): void => {
      throw new Error('of the application');
    };
    const test = ledgerUnderTest({ onLoss });
    test.ledger.intake.offer({ userId: 0 });
    await test.clock.advance(1000);
    expect(test.ledger.stats()).toMatchObject({ callbackErrors: 1, invalid: 1 });
    assertConservation(test.ledger.stats());
  });

  it('may be an async function that throws: the error is counted, and the process continues', async () => {
    const onLoss: () => unknown = async () => {
      throw new Error('of the application');
    };
    const test = ledgerUnderTest({ onLoss });
    test.ledger.intake.offer({ userId: 0 });
    await test.clock.advance(1000);
    expect(test.ledger.stats()).toMatchObject({ callbackErrors: 1, invalid: 1 });
  });
});

describe('onState', () => {
  it('reports a change at once, more within the second as one, and the stop always', async () => {
    const changes: [string, string][] = [];
    const onState = (from: string, to: string): void => void changes.push([from, to]);
    const test = ledgerUnderTest({ batchSize: 1, retryMinMs: 1, retryMaxMs: 10, onState });
    await start(test);
    expect(changes).toEqual([['starting', 'running']]);
    test.sink.failNext({ kind: 'halt' }, 3);
    test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(500);
    expect(test.ledger.stats()).toMatchObject({ state: 'running', written: 1 });
    expect(changes, 'halted and running again within the second').toHaveLength(1);
    await test.clock.advance(2000);
    const finish = test.ledger.shutdown.finish();
    await test.clock.advance(200);
    await finish;
    expect(changes.slice(1)).toEqual([
      ['running', 'draining'],
      ['draining', 'sealed'],
    ]);
  });

  it('may throw: the error is counted', async () => {
    const onState = (): void => {
      throw new Error('of the application');
    };
    const test = ledgerUnderTest({ onState });
    await start(test);
    expect(test.ledger.stats()).toMatchObject({ callbackErrors: 1, state: 'running' });
  });

  it('may be an async function that throws: the error is counted', async () => {
    const onState: () => unknown = async () => {
      throw new Error('of the application');
    };
    const test = ledgerUnderTest({ onState });
    await start(test);
    expect(test.ledger.stats()).toMatchObject({ callbackErrors: 1, state: 'running' });
  });
});
