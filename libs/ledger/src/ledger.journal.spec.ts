import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LedgerOptions } from './config/ledger-options.interface.js';
import { journaledLedger } from './journal/fixtures/journaled-ledger.fixture.js';
import { fileError, MemoryFiles } from './journal/fixtures/memory-files.fixture.js';
import { readJournal, unsettledOf } from './journal/fixtures/read-journal.fixture.js';
import type { JournalSync, LossReport } from './ports/ledger-settings.interface.js';
import { createRowEncoder } from './sink-kit/row-encoder.js';
import { rowBatch } from './sink-kit/sink-trial.js';
import {
  assertConservation,
  ledgerUnderTest,
  PLAIN_TABLE,
  start,
  type LedgerUnderTest,
} from './testing/ledger-under-test.js';

const RUN = '0000002a';
const FOLDER = `/journal/default/${RUN}`;

let dir: string;
let files: MemoryFiles;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-'));
  files = new MemoryFiles();
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const journaled = (
  options: LedgerOptions = {},
  sync: JournalSync = 'turn',
): Promise<LedgerUnderTest> => journaledLedger(files, options, sync);

/** Rows that a process which ends now leaves to the next one. */
async function left(): Promise<number[]> {
  await files.store(dir);
  const content = await readJournal(dir);
  expect(content.damaged).toEqual([]);
  return unsettledOf(content).map(([position]) => position);
}

function offer({ ledger }: LedgerUnderTest, count: number): void {
  for (let i = 0; i < count; i++) expect(ledger.intake.offer({ userId: i + 1 })).toBe('queued');
}

async function finish({ ledger, clock }: LedgerUnderTest, ms: number): Promise<void> {
  const finished = ledger.shutdown.finish();
  await clock.advance(ms);
  await finished;
}

function refuseWrites(code = 'ENOSPC'): void {
  files.refuse = (operation) => (operation === 'write' ? fileError(code) : undefined);
}

describe("recordAndWait({ until: 'durable' })", () => {
  it('resolves at the end of the turn, without a batch for it', async () => {
    const test = await journaled();
    const wait = test.ledger.awaited.record({ userId: 1 }, { until: 'durable' });
    await test.clock.turn();
    expect(await wait).toMatchObject({ outcome: 'durable' });
    expect(test.ledger.stats()).toMatchObject({ depth: 1, written: 0 });
    expect(test.ledger.stats().journal).toMatchObject({ state: 'writing', unsyncedRows: 0 });
    await finish(test, 200);
    assertConservation(test.ledger.stats());
  });

  it("resolves at once with journalSync 'entry'", async () => {
    const test = await journaled({}, 'entry');
    expect(await test.ledger.awaited.record({ userId: 1 }, { until: 'durable' })).toMatchObject({
      outcome: 'durable',
    });
    expect(await left()).toEqual([0]);
  });

  it('is the commit without a journal', async () => {
    const test = ledgerUnderTest();
    await start(test);
    const wait = test.ledger.awaited.record({ userId: 1 }, { until: 'durable' });
    await test.clock.turn();
    expect(await wait).toMatchObject({ outcome: 'written' });
  });

  it.each([
    { when: 'before the entry came', early: true },
    { when: 'with the entry in hand', early: false },
  ])('is the commit where the journal failed $when', async ({ early }) => {
    const test = await journaled();
    refuseWrites();
    if (early) {
      offer(test, 1);
      await test.clock.turn();
    }
    const wait = test.ledger.awaited.record({ userId: 1 }, { until: 'durable' });
    await test.clock.turn();
    expect(await wait).toMatchObject({ outcome: 'written' });
  });

  it('rejects after blockTimeoutMs where neither journal nor database take the entry', async () => {
    const test = await journaled({ blockTimeoutMs: 1000, commitTimeoutMs: 60_000 });
    refuseWrites();
    test.sink.failAlways({ kind: 'transient' });
    const wait = test.ledger.awaited.record({ userId: 1 }, { until: 'durable' });
    const outcome = wait.then(String, (error: Error) => error.name);
    await test.clock.advance(1000);
    expect(await outcome).toBe('LedgerWaitTimeoutError');
    expect(test.ledger.stats()).toMatchObject({ depth: 0, inFlight: 1 });
  });

  it('ends with the caller’s signal, not with the entry', async () => {
    const test = await journaled();
    const controller = new AbortController();
    const { signal } = controller;
    const wait = test.ledger.awaited.record({ userId: 1 }, { until: 'durable', signal });
    controller.abort(new Error('gone'));
    await expect(wait).rejects.toThrow('gone');
    await test.clock.turn();
    expect(await left()).toEqual([0]);
  });
});

describe('what a response waits for by default', () => {
  it('is the end of the turn; nothing once the journal fails, which is counted', async () => {
    const test = await journaled();
    const { handoff } = test.ledger;
    expect(handoff.untilDurable(1000)).toBeUndefined();
    offer(test, 2);
    let isOver = false;
    void handoff.untilDurable(1000)!.then(() => (isOver = true));
    expect(isOver).toBe(false);
    await test.clock.turn();
    expect(isOver).toBe(true);
    refuseWrites();
    offer(test, 1);
    const wait = handoff.untilDurable(1000)!;
    await test.clock.turn();
    await wait;
    offer(test, 1);
    expect(handoff.untilDurable(1000)).toBeUndefined();
    expect(test.ledger.stats().journal).toMatchObject({
      state: 'degraded',
      reason: 'ENOSPC',
      notDurable: 2,
    });
  });
});

describe('an entry whose uuid somebody else has taken', () => {
  it('keeps its uuid, under which the journal would replay it, and becomes a dead letter', async () => {
    const test = await journaled({ batchSize: 1 });
    const known = test.ledger.awaited.record({ userId: 1 }, { until: 'durable' });
    await test.clock.turn();
    const { uuid } = await known;
    const next = BigInt(`0x${uuid.replaceAll('-', '')}`) + 1n;
    const taken = next
      .toString(16)
      .padStart(32, '0')
      .replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
    const row = createRowEncoder(PLAIN_TABLE)({ uuid: taken, userId: 666 });
    await test.sink.write(rowBatch([row]), { timeoutMs: 1, isAwaited: false, mayExist: false });
    offer(test, 1);
    await test.clock.advance(1_000);
    const stats = test.ledger.stats();
    expect(stats).toMatchObject({ written: 1, conflicts: 1, deadLettered: 1, renewedUuids: 0 });
    assertConservation(stats);
    await finish(test, 200);
  });
});

describe('the stop of a ledger with a journal', () => {
  it('leaves what could not be written in the files, as spilled, and says so', async () => {
    const reports: LossReport[] = [];
    const onLoss = (report: LossReport): void => void reports.push(report);
    const test = await journaled({ shutdownTimeoutMs: 1000, batchSize: 5, onLoss });
    offer(test, 5);
    await test.clock.turn();
    test.sink.failAlways({ kind: 'transient' });
    offer(test, 12);
    await finish(test, 2000);
    expect(test.lines.at(-1)).toMatch(
      /^drained: \d written, 0 duplicate, 0 dead-lettered, 12 spilled in \d+ms, 12 left in the journal$/,
    );
    expect(test.spilled).toEqual([]);
    expect(await left()).toEqual(Array.from({ length: 12 }, (_, index) => 5 + index));
    expect(files.paths()).toContain(`${FOLDER}/released`);
    expect(reports).toMatchObject([{ kind: 'spilled', count: 12, reason: FOLDER }]);
    expect(test.ledger.stats()).toMatchObject({ spilled: 12, depth: 0, inFlight: 0 });
    assertConservation(test.ledger.stats());
    expect(test.clock.pendingTimers).toBe(0);
  });

  it('leaves nothing where all is written', async () => {
    const test = await journaled();
    offer(test, 5);
    await finish(test, 1000);
    expect(files.paths()).toEqual([]);
    expect(test.lines.at(-1)).toMatch(/^drained: 5 written, .*, 0 spilled in \d+ms$/);
    expect(test.clock.pendingTimers).toBe(0);
  });

  it('spills to spillDir where the journal takes nothing', async () => {
    const test = await journaled({ shutdownTimeoutMs: 1000 });
    refuseWrites();
    test.sink.failAlways({ kind: 'transient' });
    offer(test, 3);
    await finish(test, 2000);
    expect(test.spilled).toHaveLength(3);
    expect(test.ledger.stats()).toMatchObject({ spilled: 3 });
    assertConservation(test.ledger.stats());
  });

  it('takes what comes later, and resolves until durable, but not until committed', async () => {
    const test = await journaled();
    offer(test, 2);
    await finish(test, 1000);
    expect(test.ledger.intake.offer({ userId: 1 })).toBe('queued');
    const durable = test.ledger.awaited.record({ userId: 2 }, { until: 'durable' });
    expect(await durable).toMatchObject({ outcome: 'durable' });
    const committed = test.ledger.awaited.record({ userId: 3 }, {});
    await expect(committed).rejects.toMatchObject({ name: 'LedgerSpilledError' });
    expect(await left()).toEqual([2, 3, 4]);
    expect(test.rows, 'nothing in spillDir').toEqual([]);
    expect(test.ledger.stats()).toMatchObject({ queued: 5, written: 2, spilled: 3 });
    assertConservation(test.ledger.stats());
    await test.clock.advance(3000);
    expect(files.paths().filter((path) => path.endsWith('released'))).toHaveLength(1);
    expect(test.clock.pendingTimers).toBe(0);
  });
});

describe('the exit of a process with a journal', () => {
  it('writes the turn under way, and leaves every row that is not settled', async () => {
    const test = await journaled({ batchSize: 3, numWorkers: 2 });
    test.sink.hold();
    offer(test, 7);
    await test.clock.turn();
    offer(test, 2);
    test.ledger.exit.run();
    expect(await left()).toEqual(Array.from({ length: 9 }, (_, index) => index));
    expect(test.rows).toEqual([]);
    expect(test.ledger.stats()).toMatchObject({ spilled: 9, depth: 0, inFlight: 0 });
    assertConservation(test.ledger.stats());
    expect(files.paths()).toContain(`${FOLDER}/released`);
    offer(test, 1);
    expect(await left()).toContain(9);
    expect(test.lines.at(-1)).toBe(
      `the process exits with 9 entries left in the journal ${FOLDER}`,
    );
  });

  it('spills to spillDir where the journal takes nothing', async () => {
    const test = await journaled();
    refuseWrites();
    offer(test, 4);
    test.ledger.exit.run();
    expect(test.rows.reduce((sum, { count }) => sum + count, 0)).toBe(4);
    expect(test.ledger.stats()).toMatchObject({ spilled: 4 });
    assertConservation(test.ledger.stats());
  });
});
