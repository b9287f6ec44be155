import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JournaledLives, type JournaledLife } from './journal/fixtures/journaled-lives.fixture.js';
import { until } from './journal/fixtures/recovery-bench.fixture.js';
import type { DeadLetter } from './ports/dead-letter-store.interface.js';
import { createRowEncoder } from './sink-kit/row-encoder.js';
import { rowBatch } from './sink-kit/sink-trial.js';
import {
  assertConservation,
  ledgerUnderTest,
  PLAIN_TABLE,
  start,
} from './testing/ledger-under-test.js';

const REFUSED = '01890a5d-ac96-774b-bcce-b302099a8001';
const OPTIONS = { batchSize: 4, flushMs: 10, retryMinMs: 10, retryMaxMs: 100 };

const rejects = async (): Promise<void> => {
  throw new Error('the store is gone');
};
const isSilent = (): Promise<void> => new Promise(() => undefined);

let lives: JournaledLives;
beforeEach(() => {
  lives = new JournaledLives();
});
afterEach(() => lives.end());

function offer({ ledger }: JournaledLife, uuids: readonly (string | undefined)[]): void {
  for (const uuid of uuids) expect(ledger.intake.offer({ userId: 1, uuid })).toBe('queued');
}

/** A row under the uuid, with other content. */
async function takeUuid(uuid: string): Promise<void> {
  const row = createRowEncoder(PLAIN_TABLE)({ uuid, userId: 666 });
  await lives.sink.write(rowBatch([row]), { timeoutMs: 1, isAwaited: false, mayExist: false });
}

const FAULTS = [
  {
    fault: 'a row that the server refuses',
    reason: 'refused',
    make: async () => lives.sink.refuse(REFUSED),
  },
  { fault: 'a uuid that is taken', reason: 'conflict', make: () => takeUuid(REFUSED) },
] as const;
const STORES = [
  { what: 'rejects', store: rejects },
  { what: 'never answers', store: isSilent },
] as const;

describe.each(STORES)('a store of dead letters that $what', ({ store }) => {
  it.each(FAULTS)('leaves $fault in the journal, and the next start tries it', async (given) => {
    await given.make();
    const life = await lives.begin({ options: { ...OPTIONS, writeTimeoutMs: 1000 }, store });
    const wait = life.ledger.awaited.record({ userId: 1, uuid: REFUSED }, { timeoutMs: 60_000 });
    const outcome = wait.then(String, (error: Error) => error.name);
    offer(life, [undefined, undefined, undefined, undefined]);
    await life.clock.advance(20_000);
    expect(await outcome).toBe('LedgerSpilledError');
    const stats = life.ledger.stats();
    expect(stats).toMatchObject({ written: 4, spilled: 1, deadLettered: 0, inFlight: 0 });
    assertConservation(stats);
    // What was settled behind the row does not stay.
    expect(life.ledger.handoff.channel.settledUntil).toBe(5);
    await lives.finish(life);
    expect(readdirSync(lives.dir)).toHaveLength(1);

    const next = await lives.begin({ options: OPTIONS });
    await until(next, () => readdirSync(lives.dir).length === 0);
    expect(lives.letters).toMatchObject([{ uuid: REFUSED, reason: given.reason }]);
    expect(next.ledger.stats()).toMatchObject({ recovered: 1, deadLettered: 1 });
    assertConservation(next.ledger.stats());
  });

  it('does not lose the row to a kill', async () => {
    lives.sink.refuse(REFUSED);
    const life = await lives.begin({ options: { ...OPTIONS, writeTimeoutMs: 1000 }, store });
    offer(life, [undefined, REFUSED, undefined]);
    await life.clock.advance(20_000);
    expect(life.ledger.stats()).toMatchObject({ written: 2, spilled: 1, inFlight: 0 });
    life.kill();
    lives.sink.accept(REFUSED);
    const next = await lives.begin({ options: OPTIONS });
    await until(next, () => lives.sink.rows.has(REFUSED));
    assertConservation(next.ledger.stats());
  });

  it('leaves a row of an earlier run in its file', async () => {
    const first = await lives.begin({ options: OPTIONS });
    lives.sink.failAlways({ kind: 'transient' });
    offer(first, [undefined, REFUSED, undefined]);
    await first.clock.turn();
    first.kill();
    lives.sink.failAlways(undefined);
    lives.sink.refuse(REFUSED);
    const second = await lives.begin({ options: { ...OPTIONS, writeTimeoutMs: 1000 }, store });
    await until(second, () => second.ledger.stats().spilled === 1);
    const stats = second.ledger.stats();
    expect(stats).toMatchObject({ recovered: 3, written: 2, spilled: 1, deadLettered: 0 });
    assertConservation(stats);
    await second.clock.advance(5000);
    expect(second.ledger.stats()).toMatchObject({ recovered: 3 });
    await lives.finish(second);

    const third = await lives.begin({ options: OPTIONS });
    await until(third, () => readdirSync(lives.dir).length === 0);
    expect(lives.letters).toMatchObject([{ uuid: REFUSED, reason: 'refused' }]);
    assertConservation(third.ledger.stats());
  });
});

describe('a row whose dead letter nothing keeps', () => {
  it('keeps the files that have it where the journal can not write it once more', async () => {
    lives.sink.refuse(REFUSED);
    const life = await lives.begin({ options: OPTIONS, store: rejects });
    offer(life, [undefined, REFUSED]);
    await life.clock.turn();
    life.refuse((operation) => (operation === 'makeNewFolder' ? 'ENOSPC' : undefined));
    await life.clock.advance(3000);
    expect(life.ledger.stats()).toMatchObject({ written: 1, spilled: 1, inFlight: 0 });
    offer(life, [undefined, undefined]);
    await life.clock.advance(3000);
    await lives.finish(life);
    lives.sink.accept(REFUSED);
    const next = await lives.begin({ options: OPTIONS });
    await until(next, () => readdirSync(lives.dir).length === 0);
    expect(lives.sink.rows.size).toBe(4);
    expect(lives.sink.rows.has(REFUSED)).toBe(true);
    assertConservation(next.ledger.stats());
  });

  it('is counted as dead-lettered where no file has it', async () => {
    lives.sink.refuse(REFUSED);
    const life = await lives.begin({ options: OPTIONS, store: rejects });
    life.refuse(() => 'EIO');
    offer(life, [undefined, REFUSED]);
    await life.clock.advance(3000);
    expect(life.ledger.stats()).toMatchObject({ written: 1, spilled: 0, deadLettered: 1 });
    expect(life.lines.join()).toContain(`could not be kept anywhere (Error): ${REFUSED}`);
    assertConservation(life.ledger.stats());
  });
});

describe('a ledger without a journal', () => {
  it('waits once for a store that never answers, however many letters there are', async () => {
    const asked: number[] = [];
    const store = (letters: readonly DeadLetter[]): Promise<void> => {
      asked.push(letters.length);
      return isSilent();
    };
    const options = { batchSize: 400, flushMs: 10, writeTimeoutMs: 1000 };
    const test = ledgerUnderTest(options, PLAIN_TABLE, () => ({ deadLetters: { store } }));
    await start(test);
    const uuids = Array.from({ length: 300 }, (_, i) => {
      return `01890a5d-ac96-774b-bcce-${(0xb302099a8000 + i).toString(16)}`;
    });
    for (const uuid of uuids) test.sink.refuse(uuid);
    for (const uuid of [...uuids, undefined]) test.ledger.intake.offer({ userId: 1, uuid });
    await test.clock.advance(30_000);
    expect(test.ledger.stats()).toMatchObject({ written: 1, deadLettered: 300, inFlight: 0 });
    expect(asked).toEqual([100]);
    assertConservation(test.ledger.stats());
  });
});
