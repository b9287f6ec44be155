import { closeSync, fdatasync, openSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { JournalSync } from '../../libs/ledger/src/ports/ledger-settings.interface.js';
import type { LedgerSink } from '../../libs/ledger/src/ports/ledger-sink.interface.js';
import { inputOf, nextMessage, tell } from '../setup/child.js';
import { encodeBatches, makeEntry } from '../setup/entries.js';
import { percentile } from '../setup/figures.js';
import { createMemoryLedger, makeJournalDir } from '../setup/memory-ledger.js';

export interface DurableInput {
  /** `bare`: no ledger, but a write and an `fdatasync` of as many bytes, one after the other. */
  readonly sync: JournalSync | 'bare';
}

export interface DurableOrder {
  readonly perSecond: number;
  readonly seconds: number;
}

/** Milliseconds. */
export interface DurableReport {
  readonly p50: number;
  readonly p99: number;
  /** Entries that were not durable at the end, or were refused. */
  readonly faults: number;
}

const WARM_UP = 20_000;
const WARM_UP_TURN = 100;

interface Contender {
  /** Records this many entries at once; each adds its wait to `waits`. */
  take(count: number): void;
  /** Resolves once no entry waits. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

let waits: number[] = [];
let faults = 0;

/** So long that no batch is taken before its rows are durable: the journal alone is measured. */
const TAKEN_MS = 100;
const sink: LedgerSink = {
  prepare: async () => undefined,
  write: async ({ count }) => {
    await new Promise((resolve) => setTimeout(resolve, TAKEN_MS));
    return { written: count, duplicates: [], conflicts: [] };
  },
  find: async () => [],
  ping: async () => undefined,
  close: async () => undefined,
};

function createJournaled(journalSync: JournalSync): Contender {
  const { ledger, close } = createMemoryLedger('small', sink, {
    bufferSize: 200_000,
    batchSize: 5000,
    flushMs: 100,
    numWorkers: 4,
    journalSync,
  });
  let open = 0;
  const one = async (i: number): Promise<void> => {
    const calledAt = performance.now();
    open++;
    try {
      const { outcome } = await ledger.awaited.record(makeEntry('small', i), { until: 'durable' });
      if (outcome !== 'durable') faults++;
    } catch {
      faults++;
    }
    open--;
    waits.push(performance.now() - calledAt);
  };
  return {
    take: (count) => {
      for (let i = 0; i < count; i++) void one(i);
    },
    settle: async () => {
      while (open > 0) await nextTurn();
    },
    close,
  };
}

/** The minimum that survives a loss of power: bytes since the last sync belong to the next one. */
function createBare(): Contender {
  const sync = promisify(fdatasync);
  const dir = makeJournalDir();
  const file = openSync(join(dir, 'bare'), 'w');
  const [row] = encodeBatches('small', 1, 1);
  let waiting = 0;
  let running: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    while (waiting > 0) {
      const count = waiting;
      waiting = 0;
      const bytes = Buffer.alloc(count * row!.length, row);
      const startedAt = performance.now();
      writeSync(file, bytes);
      await sync(file);
      const ms = performance.now() - startedAt;
      for (let i = 0; i < count; i++) waits.push(ms);
    }
    running = undefined;
  };
  return {
    take: (count) => {
      waiting += count;
      running ??= run();
    },
    settle: async () => running,
    close: async () => {
      closeSync(file);
      await rm(dir, { recursive: true });
    },
  };
}

const { sync } = inputOf<DurableInput>();
const contender = sync === 'bare' ? createBare() : createJournaled(sync);
// Compilation during the measurement would disturb the rate.
for (let taken = 0; taken < WARM_UP; taken += WARM_UP_TURN) {
  contender.take(WARM_UP_TURN);
  await contender.settle();
}
tell({ isReady: true });
for (;;) {
  const order = await nextMessage<DurableOrder | { isOver: true }>();
  if ('isOver' in order) break;
  const { perSecond, seconds } = order;
  waits = [];
  faults = 0;
  const startedAt = performance.now();
  for (let taken = 0; taken < perSecond * seconds;) {
    const due = Math.ceil(((performance.now() - startedAt) * perSecond) / 1000);
    const count = Math.min(due, perSecond * seconds) - taken;
    if (count > 0) contender.take(count);
    taken += Math.max(0, count);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await contender.settle();
  tell({ p50: percentile(waits, 0.5), p99: percentile(waits, 0.99), faults });
}
await contender.close();
process.disconnect();
