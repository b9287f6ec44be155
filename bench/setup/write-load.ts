import { defaultLedger } from '../../libs/ledger/src/define-ledger.js';
import type {
  RefreshResult,
  RollupRefresher,
} from '../../libs/ledger/src/rollup/rollup-refresher.js';
import { RollupSchedule } from '../../libs/ledger/src/rollup/rollup-schedule.js';
import { systemClock } from '../../libs/ledger/src/clock/clock.js';
import { measure, type Bench } from '../parts/part.js';
import { LoopWatch } from './loop-watch.js';
import { Writer } from './writer.js';

/** Rows of one order to the writer, which gets further orders until the reads are over. */
const ORDER = 50_000;

/** The load during the measurement of reads. */
export interface Load {
  /** Heading of its figures. */
  readonly group: string;
  isOver: boolean;
}

/**
 * Reports progress, because the part takes a quarter of an hour, and has figures only at its end.
 */
export function tellProgress(what: string, ms: number): void {
  process.stderr.write(`read: ${what}, after ${Math.round(ms / 1000)} s\n`);
}

/**
 * Does the work while a ledger writes as fast as it can and refreshes its rollups on its own
 * schedule.
 *
 * The writer is a separate process, so that this one's loop is free for the measurement.
 */
export async function underLoad(
  bench: Bench,
  refresher: RollupRefresher,
  numWorkers: number,
  work: (load: Load) => Promise<void>,
): Promise<void> {
  const { database, figures } = bench;
  const writer = await Writer.start({
    url: database.url,
    kind: 'read',
    options: { batchSize: 5_000, bufferSize: 100_000, numWorkers },
  });
  const connections =
    numWorkers === 1 ? 'one connection writes' : `${numWorkers} connections write`;
  const load: Load = { group: `while ${connections} at full speed`, isOver: false };
  const background = Promise.all([
    keepWriting(bench, writer, load),
    keepRefreshing(bench, refresher, load),
  ]);
  const watch = new LoopWatch(false);
  try {
    const { ms } = await measure(() => work(load));
    tellProgress(`reads ${load.group}`, ms);
  } finally {
    load.isOver = true;
    await background;
    const key = { group: load.group, contender: 'the process that asks', setting: 'its loop' };
    figures.add({ ...key, metric: 'busy', unit: 'of a core' }, watch.stop().utilisation);
    await writer.end();
  }
}

async function keepWriting({ figures }: Bench, writer: Writer, load: Load): Promise<void> {
  while (!load.isOver) {
    const { ms, written } = await writer.run({ entries: ORDER, perSecond: 0 });
    const key = { group: load.group, contender: 'writer', setting: 'all', metric: 'rows' };
    figures.add({ ...key, unit: 'rows/s' }, (written * 1000) / ms);
  }
}

/** Refreshes on the ledger's own schedule. */
async function keepRefreshing(
  { figures }: Bench,
  refresher: RollupRefresher,
  load: Load,
): Promise<void> {
  const key = { group: load.group, contender: 'rollup', setting: 'in the background', unit: 'ms' };
  const measured = {
    async refresh(): Promise<RefreshResult> {
      const startedAt = performance.now();
      const result = await refresher.refresh();
      const ms = performance.now() - startedAt;
      if (result.outcome === 'refreshed') figures.add({ ...key, metric: 'one refresh' }, ms);
      return result;
    },
  };
  const warn = (text: string): void => void process.stderr.write(`${text}\n`);
  const logger = { log: warn, warn, error: warn };
  const schedule = new RollupSchedule({
    refresher: measured,
    clock: systemClock,
    logger,
    definition: defaultLedger,
    // The writer is another process, and never idle during this.
    written: () => performance.now(),
  });
  schedule.start();
  while (!load.isOver) await new Promise((resolve) => setTimeout(resolve, 100));
  schedule.stop();
}
