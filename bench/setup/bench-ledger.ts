import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Ledger } from '../../libs/ledger/src/assemble-ledger.js';
import type { LedgerOptions } from '../../libs/ledger/src/config/ledger-options.interface.js';
import { resolveLedgerOptions } from '../../libs/ledger/src/config/resolve-ledger-options.js';
import { createLedger, type PostgresLedger } from '../../libs/ledger/src/create-ledger.js';
import { createSinkLedger, gatewaySink } from '../../libs/ledger/src/create-sink-ledger.js';
import { openStream } from './bench-stream.js';
import { definitionOf, makeEntry, type EntryKind } from './entries.js';

/** Entries recorded between two turns of the event loop, like in a busy server. */
const ENTRIES_A_TURN = 200;
const READY_TIMEOUT_MS = 60_000;

/**
 * Rows of one or two seconds: shorter rounds show the start of a ledger rather than its steady
 * state.
 */
const ROUND_ROWS = { tinyBatches: 60_000, batches: 200_000 };
const TINY_BATCH = 100;

const SPILL_DIR = join(tmpdir(), 'nestjs-ledger-bench-spill');

const silent = (): void => undefined;
const complain = (line: string): void => void process.stderr.write(`${line}\n`);
const logger = { log: silent, warn: silent, error: complain };

/** A running ledger, like in an application. */
export interface BenchIntake {
  readonly ledger: Ledger;
  /**
   * Records entries as fast as they are written or published, and waits for the last answer.
   * @param waiting full batches that wait in addition to those in flight; default 2
   */
  pump(rows: number, waiting?: number): Promise<void>;
  close(): Promise<void>;
}

/** A running ledger on a database. */
export interface BenchLedger extends BenchIntake {
  /** Reads on the ledger's own pool. */
  readonly reader: PostgresLedger['reader'];
}

/** Starts a ledger on a database; resolves when its table is ready. */
export async function createBenchLedger(
  url: string,
  kind: EntryKind,
  options: LedgerOptions,
): Promise<BenchLedger> {
  const resolved = resolveLedgerOptions({ spillDir: SPILL_DIR, connection: { url }, ...options });
  const { ledger, reader } = createLedger(definitionOf(kind), resolved, logger);
  return { ...(await start(ledger, kind)), reader };
}

/** Starts a gateway without a journal on a stream; resolves when the stream is ready. */
export async function createBenchGateway(
  address: string,
  kind: EntryKind,
  options: LedgerOptions,
): Promise<BenchIntake> {
  const stream = await openStream(address);
  const given = { spillDir: SPILL_DIR, ...options, stream, role: 'gateway' } as const;
  const resolved = resolveLedgerOptions(given);
  const table = definitionOf(kind);
  const { ledger } = createSinkLedger(table, resolved, gatewaySink(table, stream, logger), logger);
  return start(ledger, kind);
}

async function start(ledger: Ledger, kind: EntryKind): Promise<BenchIntake> {
  void ledger.writer.start((error) => complain(String(error)));
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!ledger.writer.isPrepared) {
    if (performance.now() > deadline) throw new Error('the ledger did not get ready');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    ledger,
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
  const wanted = settledIn(ledger) + rows;
  let wake = silent;
  const stopListening = writer.onFlush(() => wake());
  for (let i = 0; i < rows;) {
    const end = Math.min(rows, i + ENTRIES_A_TURN);
    for (; i < end; i++) {
      const outcome = intake.offer(makeEntry(kind, i));
      if (outcome !== 'queued') throw new Error(`void round: an entry was ${outcome}`);
    }
    while (counters.queued - settledIn(ledger) > backlogOf(ledger, waiting)) {
      await new Promise<void>((resolve) => (wake = resolve));
    }
    // Requests come in separate turns, and not in that of a batch's answer.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await writer.flush(120_000);
  stopListening();
  if (settledIn(ledger) !== wanted) throw new Error('void round: entries were not written');
}

/** Entries that the ledger wrote, or a gateway published. */
export function settledIn({ counters }: Ledger): number {
  return counters.written + counters.published;
}

/** Bounds of memory that no throughput round reaches. */
export function roomFor(batchSize: number, numWorkers: number): LedgerOptions {
  const bufferSize = Math.max(10_000, 2 * batchSize * (numWorkers + 2));
  return { batchSize, numWorkers, bufferSize, bufferMaxBytes: 2 ** 31, flushMs: 1000 };
}

/** Rows of a round that compares settings: whole batches, and at least one for each worker. */
export function roundRows(batchSize: number, workers: number): number {
  const enough = batchSize <= TINY_BATCH ? ROUND_ROWS.tinyBatches : ROUND_ROWS.batches;
  return Math.ceil(Math.max(enough, batchSize * workers) / batchSize) * batchSize;
}
