import { beforeEach, describe, expect, it } from 'vitest';
import type { LedgerOptions } from './config/ledger-options.interface.js';
import { journaledLedger } from './journal/fixtures/journaled-ledger.fixture.js';
import { fileError, MemoryFiles } from './journal/fixtures/memory-files.fixture.js';
import type { JournalSync } from './ports/ledger-settings.interface.js';
import { assertConservation, type LedgerUnderTest } from './testing/ledger-under-test.js';

const FOLDER = '/journal/default/0000002a';

let files: MemoryFiles;
beforeEach(() => {
  files = new MemoryFiles();
});

const journaled = (
  options: LedgerOptions = {},
  sync: JournalSync = 'turn',
): Promise<LedgerUnderTest> => journaledLedger(files, options, sync);

function offer({ ledger }: LedgerUnderTest, count: number): void {
  for (let i = 0; i < count; i++) expect(ledger.intake.offer({ userId: i + 1 })).toBe('queued');
}

describe("an entry that is waited for until 'durable'", () => {
  describe('with a worker when the journal fails', () => {
    /** An entry that the journal does not have, in a batch that the sink holds. */
    async function atWorker(timeoutMs?: number) {
      const options = { batchSize: 1, blockTimeoutMs: 1000, commitTimeoutMs: 60_000 };
      const test = await journaled(options, 'power');
      files.hold = new Promise(() => undefined);
      test.sink.hold();
      const wait = test.ledger.awaited.record(
        { userId: 1 },
        { until: 'durable', ...(timeoutMs !== undefined && { timeoutMs }) },
      );
      const outcome = { is: undefined as string | undefined };
      void wait.then(
        (result) => (outcome.is = result.outcome),
        (error: Error) => (outcome.is = error.name),
      );
      await test.clock.advance(400);
      expect(test.ledger.stats()).toMatchObject({ depth: 0, inFlight: 1 });
      test.ledger.journal!.degrade(fileError('EIO'));
      await test.clock.turn();
      expect(outcome.is).toBeUndefined();
      return { test, outcome };
    }

    it('falls back to the commit', async () => {
      const { test, outcome } = await atWorker();
      await test.clock.advance(900);
      test.sink.held[0]!.release();
      await test.clock.turn();
      expect(outcome.is).toBe('written');
      assertConservation(test.ledger.stats());
    });

    it('rejects after blockTimeoutMs where no commit comes', async () => {
      const { test, outcome } = await atWorker();
      await test.clock.advance(999);
      expect(outcome.is).toBeUndefined();
      await test.clock.advance(1);
      expect(outcome.is).toBe('LedgerWaitTimeoutError');
      expect(test.clock.pendingHolds).toBe(0);
    });

    it('waits as long as its own timeoutMs says, the wait for the journal included', async () => {
      const { test, outcome } = await atWorker(3000);
      await test.clock.advance(2599);
      expect(outcome.is).toBeUndefined();
      await test.clock.advance(1);
      expect(outcome.is).toBe('LedgerWaitTimeoutError');
    });
  });

  it('resolves with the commit where the database is quicker than the disk', async () => {
    const test = await journaled({ batchSize: 1 }, 'power');
    files.hold = new Promise(() => undefined);
    const wait = test.ledger.awaited.record({ userId: 1 }, { until: 'durable' });
    await test.clock.turn();
    expect(await wait).toMatchObject({ outcome: 'written' });
  });
});

describe('entries in a folder that another process took', () => {
  const UUID = '01890a5d-ac96-774b-bcce-b302099a8001';

  /** As the process does that took the folder. */
  async function adopt(test: LedgerUnderTest): Promise<void> {
    files.rename(FOLDER, `${FOLDER}.adopted-00000001`);
    await test.clock.advance(1_000);
  }

  it.each([
    { where: 'in the channel', isHeld: false },
    { where: 'with a worker', isHeld: true },
  ])('are no dead letters if that has written them: $where', async ({ isHeld }) => {
    const test = await journaled({ batchSize: 2, flushMs: 60_000, retryMaxMs: 100 });
    if (isHeld) test.sink.hold();
    expect(test.ledger.intake.offer({ userId: 1, uuid: UUID })).toBe('queued');
    if (isHeld) offer(test, 1);
    await test.clock.turn();
    const { slab } = test.ledger.handoff.channel.rowsFrom(0)[0]!;
    const row = Buffer.from(slab.bytes.subarray(0, slab.endOf(0)));
    await adopt(test);
    test.sink.hold(false);
    (test.sink.rows as Map<string, Buffer>).set(UUID, row);
    // What the table refuses by now: it has that row already.
    test.sink.refuse(UUID);
    offer(test, 2);
    for (const held of [...test.sink.held]) held.release({ kind: 'transient' });
    await test.clock.advance(20_000);
    const stats = test.ledger.stats();
    expect(stats).toMatchObject({ duplicate: 1, deadLettered: 0, inFlight: 0 });
    assertConservation(stats);
  });
});
