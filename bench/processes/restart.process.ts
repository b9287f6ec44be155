import { inputOf, nextMessage, tell } from '../setup/child.js';
import { createBenchLedger } from '../setup/bench-ledger.js';
import { makeEntry } from '../setup/entries.js';

export interface RestartInput {
  readonly url: string;
  readonly journalDir: string;
  readonly rows: number;
  readonly batchSize: number;
  readonly numWorkers: number;
  /**
   * `fill`: rows into the journal, until the process is killed. `drain`: the rows of the previous
   * process into the table.
   */
  readonly work: 'fill' | 'drain';
}

/** Of a drain: from the table's readiness to the last commit. */
export interface RestartReport {
  readonly ms: number;
  /** Found in the table already. */
  readonly duplicates: number;
}

const ENTRIES_A_TURN = 200;
const LOOK_MS = 2;
const PATIENCE_MS = 60_000;

/** @throws Error if the condition is not met within a minute */
async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error('void round: rows are missing');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const { url, journalDir, rows, batchSize, numWorkers, work } = inputOf<RestartInput>();
const bench = await createBenchLedger(url, 'small', {
  journalDir,
  batchSize,
  numWorkers,
  bufferSize: rows + 10_000,
  bufferMaxBytes: 2 ** 31,
  flushMs: 1000,
});
const { intake, counters, journal, writer, stats } = bench.ledger;
const readyAt = performance.now();

if (work === 'fill') {
  tell({ isReady: true });
  await nextMessage();
  for (let i = 0; i < rows;) {
    const end = Math.min(rows, i + ENTRIES_A_TURN);
    for (; i < end; i++) {
      const outcome = intake.offer(makeEntry('small', i));
      if (outcome !== 'queued') throw new Error(`void round: an entry was ${outcome}`);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  // A slow disk is written to in the background.
  await until(() => journal!.durableUntil >= rows);
  tell({ isFilled: true });
  // Until it is killed.
  await nextMessage();
} else {
  await until(() => counters.written + counters.duplicate >= rows);
  const report: RestartReport = {
    ms: performance.now() - readyAt,
    duplicates: counters.duplicate,
  };
  await writer.flush(60_000);
  if (stats().recovered !== rows) throw new Error(`void round: ${stats().recovered} recovered`);
  tell(report);
}
await bench.close();
process.disconnect();
