import { describe, expect, it } from 'vitest';
import { assembleCore, assembleHandoff, type LedgerCore } from './assemble-core.js';
import { assembleIntake } from './assemble-intake.js';
import { assembleWriter } from './assemble-writer.js';
import type { Batch } from './channel/batch.js';
import type { Handoff } from './channel/handoff.js';
import { resolveLedgerOptions } from './config/resolve-ledger-options.js';
import { InMemorySink } from './testing/in-memory.sink.js';
import { PLAIN_TABLE } from './testing/ledger-under-test.js';
import { ManualClock } from './testing/manual-clock.js';
import type { Assignment, BatchSource } from './writer/batch-source.interface.js';

const clock = new ManualClock();
const spilled: unknown[] = [];
const spills = {
  probe: async () => undefined,
  spill: async (entries: Iterable<unknown>) => {
    spilled.push(...entries);
    return { file: 'spill.ndjson', entries: spilled.length };
  },
};

function coreOf(): { core: LedgerCore; handoff: Handoff } {
  const options = resolveLedgerOptions({ batchSize: 2, bufferSize: 4 });
  const handoff = assembleHandoff(options, clock);
  const logger = { log: () => {}, warn: () => {}, error: () => {} };
  const deadLetters = { store: async () => {} };
  const parts = { table: PLAIN_TABLE, options, deadLetters, clock, logger };
  return { core: assembleCore(parts, () => handoff.isFull), handoff };
}

/** Batches that another process accepted, as a stream would hand them over. */
class ForeignBatches implements BatchSource {
  readonly settled: Batch[] = [];
  readonly done: (assignment: Assignment) => void = () => {};
  readonly drain = (): void => {};
  readonly flushUntil = (): void => {};
  isSealed = false;
  head = 0;
  readonly #idle: ((assignment: Assignment | undefined) => void)[] = [];

  constructor(private readonly batches: Batch[]) {}

  get tail(): number {
    return this.head + this.#waiting;
  }

  get held(): number {
    return this.#waiting;
  }

  get dueAt(): number | undefined {
    return this.batches.length === 0 ? undefined : 0;
  }

  get #waiting(): number {
    return this.batches.reduce((sum, batch) => sum + batch.count, 0);
  }

  next(accept: (assignment: Assignment | undefined) => void): void {
    const [assignment] = this.#takeOne();
    if (assignment === undefined) this.#idle.push(accept);
    else accept(assignment);
  }

  withdraw(accept: (assignment: Assignment | undefined) => void): void {
    if (this.#idle.includes(accept)) accept(undefined);
  }

  #takeOne(): Assignment[] {
    return this.batches.splice(0, 1).map((batch) => {
      this.head += batch.count;
      return { batch, due: 'full', awaited: [], isAwaited: false };
    });
  }

  settle(batch: Batch): void {
    this.settled.push(batch);
  }

  seal(): void {
    this.isSealed = true;
  }

  stop(): void {
    for (const accept of this.#idle.splice(0)) accept(undefined);
  }

  takeAll(): Assignment[] {
    const all: Assignment[] = [];
    while (this.batches.length > 0) all.push(...this.#takeOne());
    return all;
  }
}

/** Entries that an intake half took, as batches of two. */
function batchesOf(users: readonly number[]): Batch[] {
  const { core, handoff } = coreOf();
  const { intake } = assembleIntake(core, handoff);
  for (const userId of users) expect(intake.offer({ userId })).toBe('queued');
  const batches: Batch[] = [];
  while (handoff.channel.depth > 0) batches.push(handoff.channel.take(2)!);
  return batches;
}

describe('the intake half', () => {
  it('takes entries without a writer half, until the channel is full or sealed', () => {
    const { core, handoff } = coreOf();
    const { intake } = assembleIntake(core, handoff);
    const outcomes = [1, 2, 3, 4, 5].map((userId) => intake.offer({ userId }));
    expect(outcomes).toEqual(['queued', 'queued', 'queued', 'queued', 'dropped']);
    handoff.seal();
    expect(intake.offer({ userId: 6 })).toBe('sealed');
    expect(core.counters).toMatchObject({ offered: 6, queued: 4, dropped: 1, sealed: 1 });
  });
});

describe('the writer half', () => {
  it('writes what a source hands over that is no channel, and settles it there', async () => {
    const source = new ForeignBatches(batchesOf([1, 2, 3, 4]));
    const sink = new InMemorySink();
    const { core } = coreOf();
    const { writer } = assembleWriter(core, { source, sink, spills, random: Math.random });
    void writer.start(() => {});
    await clock.turn();
    expect(sink.rows.size).toBe(4);
    expect(source.settled.map(({ count }) => count)).toEqual([2, 2]);
    expect(core.counters).toMatchObject({ written: 4 });
  });

  it('seals the source at the stop, and spills what it still has', async () => {
    const source = new ForeignBatches(batchesOf([1, 2, 3]));
    const sink = new InMemorySink();
    sink.failAlways({ kind: 'transient' });
    const { core } = coreOf();
    const { shutdown } = assembleWriter(core, { source, sink, spills, random: Math.random });
    const finished = shutdown.finish();
    await clock.advance(core.options.shutdownTimeoutMs);
    expect(await finished).toMatchObject({ written: 0, spilled: 3 });
    expect(source.isSealed).toBe(true);
    expect(spilled).toHaveLength(3);
  });
});
