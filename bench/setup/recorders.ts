import { randomUUID } from 'node:crypto';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import fastq from 'fastq';
import type { JournalSync } from '../../libs/ledger/src/ports/ledger-settings.interface.js';
import type { LedgerSink } from '../../libs/ledger/src/ports/ledger-sink.interface.js';
import type { BenchEntry, EntryKind } from './entries.js';
import { createMemoryLedger } from './memory-ledger.js';

/** A recorder that accepts entries while everything after it is stalled. */
export interface Recorder {
  record(entry: BenchEntry): void;
  /** Encoded bytes held; undefined if entries are kept as objects. */
  bytes(): number | undefined;
  /** Processes all entries, and waits until none is held. */
  drain(): Promise<void>;
  /**
   * Whether it writes in the thread pool because of a slow disk, which is a different measurement.
   */
  writesBeside?(): boolean;
  /** Removes its files, after the drain. */
  close?(): Promise<void>;
}

export const RECORDERS = ['ledger', 'OpenTelemetry', 'fastq', 'array'] as const;
/** Ledgers that also keep each entry in files. */
export const JOURNALED_RECORDERS = ['ledger, turn', 'ledger, entry', 'ledger, power'] as const;
export type RecorderName = (typeof RECORDERS)[number] | (typeof JOURNALED_RECORDERS)[number];

const SYNCS: Partial<Record<RecorderName, JournalSync>> = {
  'ledger, turn': 'turn',
  'ledger, entry': 'entry',
  'ledger, power': 'power',
};

const CAPACITY = 2_000_000;
const BATCH = 10_000;

/** @returns the recorder, with everything after it stalled */
export function createRecorder(name: RecorderName, kind: EntryKind): Recorder {
  if (name.startsWith('ledger')) return createLedgerRecorder(kind, SYNCS[name]);
  if (name === 'OpenTelemetry') return createOpenTelemetry();
  return name === 'fastq' ? createFastq() : createArray();
}

/** A gate at which everything waits until it is opened. */
function gate(): { passed: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open };
}

function createLedgerRecorder(kind: EntryKind, journalSync?: JournalSync): Recorder {
  const stall = gate();
  const sink: LedgerSink = {
    prepare: async () => undefined,
    write: async (batch) => {
      await stall.passed;
      return { written: batch.count, duplicates: [], conflicts: [] };
    },
    find: async () => [],
    ping: async () => undefined,
    close: async () => undefined,
  };
  const { ledger, close } = createMemoryLedger(kind, sink, {
    bufferSize: CAPACITY,
    bufferMaxBytes: 2 ** 31,
    batchSize: BATCH,
    numWorkers: 2,
    journalSync,
  });
  return {
    record: (entry) => void ledger.intake.offer(entry),
    bytes: () => ledger.stats().bytes,
    drain: async () => {
      stall.open();
      await ledger.writer.flush(60_000);
    },
    writesBeside: () => ledger.journal?.state === 'asynchronous',
    close,
  };
}

function createOpenTelemetry(): Recorder {
  const stall = gate();
  const exporter = {
    export: (_logs: unknown, done: (result: { code: number }) => void) =>
      void stall.passed.then(() => done({ code: 0 })),
    forceFlush: async () => undefined,
    shutdown: async () => undefined,
  };
  const processor = new BatchLogRecordProcessor({
    exporter,
    maxQueueSize: CAPACITY,
    maxExportBatchSize: BATCH,
    exportTimeoutMillis: 600_000,
  });
  const logger = new LoggerProvider({ processors: [processor] }).getLogger('bench');
  return {
    record: (entry) => logger.emit({ attributes: entry as Record<string, number> }),
    bytes: () => undefined,
    drain: async () => {
      stall.open();
      await processor.forceFlush();
    },
  };
}

/** The entry with the uuid and the time that a row needs, for both of the next recorders. */
function complete(entry: BenchEntry): BenchEntry {
  return { ...entry, uuid: randomUUID(), createdAt: new Date() };
}

function createFastq(): Recorder {
  const stall = gate();
  const queue = fastq((_entry: BenchEntry, done: (error: Error | null) => void) => {
    void stall.passed.then(() => done(null));
  }, 2);
  return {
    record: (entry) => void queue.push(complete(entry)),
    bytes: () => undefined,
    drain: () =>
      new Promise((resolve) => {
        queue.drain = () => resolve();
        stall.open();
      }),
  };
}

function createArray(): Recorder {
  const entries: BenchEntry[] = [];
  return {
    record: (entry) => void entries.push(complete(entry)),
    bytes: () => undefined,
    drain: async () => {
      entries.length = 0;
    },
  };
}
