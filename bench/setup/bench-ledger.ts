import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ledger } from '../../libs/ledger/src/assemble-ledger.js';
import type { LedgerOptions } from '../../libs/ledger/src/config/ledger-options.interface.js';
import { resolveLedgerOptions } from '../../libs/ledger/src/config/resolve-ledger-options.js';
import { createLedger, type PostgresLedger } from '../../libs/ledger/src/create-ledger.js';
import { definitionOf, makeEntry, type EntryKind } from './entries.js';

/** Entries that are recorded between two turns of the event loop, as a busy server would. */
const ENTRIES_A_TURN = 200;
const READY_TIMEOUT_MS = 60_000;

/** Rows of one or two seconds: shorter rounds show how a ledger begins, more than how it goes on. */
const ROUND_ROWS = { tinyBatches: 60_000, batches: 200_000 };
const TINY_BATCH = 100;

const silent = (): void => undefined;

/** A ledger at work on a database, as an application has it. */
export interface BenchLedger {
  readonly ledger: Ledger;
  /** Reads on the same pool as the ledger writes. */
  readonly reader: PostgresLedger['reader'];
  /**
   * Records so many entries as fast as they are written, and waits for the last commit.
   * @param waiting full batches that wait beside those in flight; default 2
   */
  pump(rows: number, waiting?: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts a ledger; resolves when its table is ready. */
export async function createBenchLedger(
  url: string,
  kind: EntryKind,
  options: LedgerOptions,
): Promise<BenchLedger> {
  const resolved = resolveLedgerOptions({
    spillDir: join(tmpdir(), 'nestjs-ledger-bench-spill'),
    connection: { url },
    ...options,
  });
  const complain = (line: string): void => void process.stderr.write(`${line}\n`);
  const { ledger, reader } = createLedger(definitionOf(kind), resolved, {
    log: silent,
    warn: silent,
    error: complain,
  });
  void ledger.writer.start((error) => complain(String(error)));
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!ledger.writer.isPrepared) {
    if (performance.now() > deadline) throw new Error('the ledger did not get ready');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    ledger,
    reader,
    pump: (rows, waiting = 2) => pump(ledger, kind, { rows, waiting }),
    close: async () => {
      await ledger.shutdown.finish();
      await ledger.sink.close();
    },
  };
}

/** Entries that may wait: enough that no worker ever does, few enough to stay in bounds. */
function backlogOf(ledger: Ledger, waiting: number): number {
  const { batchSize, capacity } = ledger.options.figures;
  const wanted = Math.max(2000, batchSize * (ledger.writer.numWorkers + waiting));
  return Math.min(wanted, capacity - ENTRIES_A_TURN);
}

async function pump(
  ledger: Ledger,
  kind: EntryKind,
  { rows, waiting }: { rows: number; waiting: number },
): Promise<void> {
  const { intake, counters, writer } = ledger;
  const written = counters.written + rows;
  let wake = silent;
  const stopListening = writer.onFlush(() => wake());
  for (let i = 0; i < rows;) {
    const end = Math.min(rows, i + ENTRIES_A_TURN);
    for (; i < end; i++) {
      const outcome = intake.offer(makeEntry(kind, i));
      if (outcome !== 'queued') throw new Error(`void round: an entry was ${outcome}`);
    }
    while (counters.queued - counters.written > backlogOf(ledger, waiting)) {
      await new Promise<void>((resolve) => (wake = resolve));
    }
    // Requests come in turns of their own, not in the one that a batch's answer came in.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await writer.flush(120_000);
  stopListening();
  if (counters.written !== written) throw new Error('void round: entries were not written');
}

/** Bounds of memory that no throughput round meets. */
export function roomFor(batchSize: number, numWorkers: number): LedgerOptions {
  const bufferSize = Math.max(10_000, 2 * batchSize * (numWorkers + 2));
  return { batchSize, numWorkers, bufferSize, bufferMaxBytes: 2 ** 31, flushMs: 1000 };
}

/** Rows of a round that compares settings: whole batches, and one for each worker at least. */
export function roundRows(batchSize: number, workers: number): number {
  const enough = batchSize <= TINY_BATCH ? ROUND_ROWS.tinyBatches : ROUND_ROWS.batches;
  return Math.ceil(Math.max(enough, batchSize * workers) / batchSize) * batchSize;
}
