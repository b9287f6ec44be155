import { describe, expect, it } from 'vitest';
import { readUuid } from '../codec/uuid.js';
import type { LedgerOptions } from '../config/ledger-options.interface.js';
import { SinkRowError } from '../errors/sink.errors.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import {
  assertConservation,
  ledgerUnderTest,
  start,
  type LedgerUnderTest,
} from '../testing/ledger-under-test.js';

const RETRY_MAX_MS = 1000;
const REFUSED = { kind: 'row', rowNumber: 1, sqlState: '23502' } as const;

/** Uuids of entries that the sink refuses until it is repaired. */
const poison = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => {
    return `01890a5d-ac96-774b-bcce-${(from + i + 0xb302099a8000).toString(16)}`;
  });

async function started(options: LedgerOptions = {}): Promise<LedgerUnderTest> {
  const test = ledgerUnderTest({
    ...{ batchSize: 10, flushMs: 10, retryMinMs: 10, retryMaxMs: RETRY_MAX_MS, bufferSize: 10_000 },
    ...options,
  });
  await start(test);
  return test;
}

function offer({ ledger }: LedgerUnderTest, entries: number | readonly string[]): void {
  if (typeof entries === 'number') {
    for (let i = 0; i < entries; i++) ledger.intake.offer({ userId: 1 });
  } else {
    for (const uuid of entries) ledger.intake.offer({ userId: 1, uuid });
  }
}

function refuse(test: LedgerUnderTest, uuids: readonly string[]): readonly string[] {
  for (const uuid of uuids) test.sink.refuse(uuid);
  return uuids;
}

function mend(test: LedgerUnderTest, uuids: readonly string[]): void {
  for (const uuid of uuids) test.sink.accept(uuid);
}

const linesOf = ({ lines }: LedgerUnderTest, word: RegExp): string[] =>
  lines.filter((line) => word.test(line));

/** Advances the time, and checks the conservation law at each step. */
async function pass(test: LedgerUnderTest, ms: number, steps = 10): Promise<void> {
  for (let i = 0; i < steps; i++) {
    await test.clock.advance(ms / steps);
    assertConservation(test.ledger.stats());
  }
}

describe('a fault of the table', () => {
  it.each([
    { numWorkers: 1, batchSize: 10 },
    { numWorkers: 8, batchSize: 10 },
    { numWorkers: 1, batchSize: 1 },
    { numWorkers: 8, batchSize: 1 },
    { numWorkers: 8, batchSize: 500 },
  ])(
    'halts once and condemns no row: $numWorkers workers, batches of $batchSize',
    async (given) => {
      const test = await started(given);
      offer(test, 50);
      await pass(test, 100);
      test.sink.failAlways(REFUSED);
      offer(test, 500);
      await pass(test, 100);
      expect(test.ledger.stats()).toMatchObject({ state: 'halted', written: 50, deadLettered: 0 });
      const before = test.sink.calls.length;
      for (let i = 0; i < 20; i++) {
        offer(test, 10);
        await pass(test, RETRY_MAX_MS);
      }
      expect(test.sink.calls.length - before, 'one attempt each retryMaxMs').toBeLessThan(22);
      expect(linesOf(test, /^halted|^writing/)).toHaveLength(1);
      expect(test.ledger.stats()).toMatchObject({ state: 'halted', deadLettered: 0 });
      test.sink.failAlways(undefined);
      await pass(test, 2 * RETRY_MAX_MS);
      expect(test.ledger.stats()).toMatchObject({
        state: 'running',
        written: 750,
        deadLettered: 0,
      });
      expect(linesOf(test, /^halted|^writing/)).toHaveLength(2);
      expect(test.letters).toHaveLength(0);
    },
  );

  it('that begins and ends while workers write condemns no row at any moment', async () => {
    for (let ms = 0; ms < 12; ms++) {
      const test = await started({ numWorkers: 2, batchSize: 3, flushMs: 1 });
      for (let i = 0; i < 40; i++) {
        if (i === 5 + ms) test.sink.failAlways(REFUSED);
        if (i === 5 + 2 * ms) test.sink.failAlways(undefined);
        offer(test, 2);
        await pass(test, 1, 1);
      }
      test.sink.failAlways(undefined);
      offer(test, 1);
      await pass(test, 3 * RETRY_MAX_MS);
      expect(test.ledger.stats()).toMatchObject({ written: 81, deadLettered: 0, inFlight: 0 });
    }
  });

  it('is found by sixteen rows, with any number of rows in a batch', async () => {
    const test = await started({ batchSize: 1 });
    const uuids = refuse(test, poison(16));
    offer(test, uuids.slice(0, 15));
    await pass(test, 50);
    expect(test.ledger.stats()).toMatchObject({ state: 'running', inFlight: 15, deadLettered: 0 });
    offer(test, uuids.slice(15));
    await pass(test, 50);
    expect(test.ledger.stats()).toMatchObject({ state: 'halted', inFlight: 16, deadLettered: 0 });
    offer(test, 1);
    await pass(test, 2 * RETRY_MAX_MS);
    expect(test.ledger.stats(), 'a good row gets in').toMatchObject({
      ...{ state: 'running', written: 1, deadLettered: 16, inFlight: 0 },
    });
  });

  it('keeps its rows for the spill at a stop', async () => {
    const test = await started({ numWorkers: 2, shutdownTimeoutMs: 2000 });
    test.sink.failAlways(REFUSED);
    offer(test, 40);
    await pass(test, 100);
    const finish = test.ledger.shutdown.finish();
    await pass(test, 5000);
    expect(await finish).toMatchObject({ written: 0, deadLettered: 0, spilled: 40 });
    const sequences = test.spilled.map(({ uuid }) => readUuid(uuid)!.sequence);
    expect(sequences).toEqual(Array.from({ length: 40 }, (_, i) => i));
  });
});

describe('refused rows', () => {
  it('of a batch with good ones become dead letters, however many there are', async () => {
    const test = await started({ batchSize: 80 });
    offer(test, refuse(test, poison(30)));
    offer(test, 50);
    await pass(test, 100);
    expect(test.ledger.stats()).toMatchObject({ state: 'running', written: 50, deadLettered: 30 });
    expect(linesOf(test, /^halted/)).toHaveLength(0);
  });

  it('wait for another row of any worker, and are then tried once more', async () => {
    const test = await started({ numWorkers: 4 });
    offer(test, refuse(test, poison(2)));
    await pass(test, 500);
    expect(test.ledger.stats()).toMatchObject({ inFlight: 2, deadLettered: 0, state: 'running' });
    mend(test, poison(1));
    offer(test, 1);
    await pass(test, 50);
    expect(test.ledger.stats()).toMatchObject({ written: 2, deadLettered: 1, inFlight: 0 });
  });

  it('with no other company than each other are kept, tried from time to time, and reported once', async () => {
    const test = await started();
    offer(test, refuse(test, poison(3)));
    await pass(test, 10 * RETRY_MAX_MS);
    expect(test.ledger.stats()).toMatchObject({ inFlight: 3, deadLettered: 0, state: 'running' });
    expect(linesOf(test, /refused rows are kept/)).toHaveLength(1);
    expect(test.sink.calls.length).toBeLessThan(20);
    mend(test, poison(3));
    await pass(test, 2 * RETRY_MAX_MS);
    expect(test.ledger.stats()).toMatchObject({ written: 3, inFlight: 0 });
    expect(test.clock.pendingTimers).toBe(0);
  });

  it('alone for retryMaxMs become dead letters, one after the other', async () => {
    const test = await started();
    for (let i = 0; i < 20; i++) {
      offer(test, refuse(test, poison(1, i)));
      await pass(test, RETRY_MAX_MS / 2);
      expect(test.ledger.stats()).toMatchObject({ inFlight: 1, deadLettered: i });
      await pass(test, RETRY_MAX_MS);
      expect(test.ledger.stats()).toMatchObject({ state: 'running', deadLettered: i + 1 });
    }
    expect(test.letters).toHaveLength(20);
  });

  it('alone, and accepted at the second try, are written', async () => {
    const test = await started();
    const [uuid] = refuse(test, poison(1));
    const wait = test.ledger.awaited.record({ userId: 1, uuid }, {});
    await pass(test, RETRY_MAX_MS / 2);
    mend(test, [uuid!]);
    await pass(test, RETRY_MAX_MS);
    expect(await wait).toMatchObject({ outcome: 'written' });
  });

  it('that the server does not name are found within the bound of statements', async () => {
    for (const [rows, guilty] of [
      [1000, 1],
      [1000, 40],
      [64, 64],
      [7, 2],
    ] as const) {
      const test = await started({ batchSize: rows });
      const write = test.sink.write.bind(test.sink);
      test.sink.write = (...given) => write(...given).catch((error: unknown) => nameless(error));
      const uuids = refuse(test, poison(guilty));
      const step = Math.floor(rows / guilty);
      for (let i = 0; i < rows; i++)
        offer(test, i % step === 0 && uuids[i / step] ? [uuids[i / step]!] : 1);
      await pass(test, 5);
      const most = 2 * Math.ceil(Math.log2(rows)) + 32;
      const each = test.sink.calls.findIndex(({ isEach }) => isEach);
      expect(each).toBeLessThanOrEqual(most);
      expect(test.sink.calls.length).toBeLessThanOrEqual(most + 2);
      const { written, deadLettered, state } = test.ledger.stats();
      const isAll = guilty === rows;
      expect({ written, deadLettered, state }).toEqual({
        ...{ written: rows - guilty, deadLettered: isAll ? 0 : guilty },
        state: isAll ? 'halted' : 'running',
      });
    }
  });

  it('are judged row by row for a sink that cannot try each row itself', async () => {
    const test = await started({ batchSize: 20 });
    Object.defineProperty(test.sink, 'writeEach', { value: undefined });
    offer(test, refuse(test, poison(30)));
    offer(test, 10);
    await pass(test, 100);
    expect(test.ledger.stats()).toMatchObject({ state: 'halted', deadLettered: 0 });
    const before = test.sink.calls.length;
    await pass(test, 5 * RETRY_MAX_MS);
    expect(test.sink.calls.length - before).toBeLessThanOrEqual(6);
    await pass(test, 30 * RETRY_MAX_MS);
    expect(test.ledger.stats()).toMatchObject({ written: 10, deadLettered: 30, state: 'running' });
  });

  it('are spilled undecided at a stop', async () => {
    const test = await started({ shutdownTimeoutMs: 500 });
    offer(test, refuse(test, poison(2)));
    await pass(test, 100);
    const finish = test.ledger.shutdown.finish();
    await pass(test, 3000);
    expect(await finish).toMatchObject({ deadLettered: 0, spilled: 2 });
    expect(test.spilled.map(({ uuid }) => uuid)).toEqual(poison(2));
  });
});

function nameless(error: unknown): never {
  throw isLedgerError(error, 'SINK_ROW')
    ? new SinkRowError(error.message, { sqlState: '23503' })
    : error;
}
