import type { MeasuredStep } from '../advice/recommend-settings.js';
import type { CommandOutput } from './command-output.js';
import { TuneTable } from './tune-table.js';

/** Source: the rows of the guide's table in which COPY is faster by measurement. */
const BATCH_SIZES = [100, 500, 2_000, 10_000];
/** Minimum gain of more workers; below it the server's CPU or disk is the bottleneck. */
const WORTHWHILE = 1.1;

/** @internal */
export interface MeasurePlan {
  readonly databaseUrl: string;
  readonly schema: string | undefined;
  /** Maximum number of writing connections. */
  readonly mostWorkers: number;
  /** Seconds for each pair of workers and batch size. */
  readonly stepSeconds: number;
  /** Ends it early; the table is dropped anyway. */
  readonly signal: AbortSignal;
}

/** @internal */
export interface Measurement {
  readonly maxConnections: number;
  readonly steps: readonly MeasuredStep[];
  /**
   * True if the role may not create tables. `TEMPORARY` ones skip the log, so their figures are too
   * high.
   */
  readonly isWithoutLog: boolean;
}

/**
 * Creates a table with all of a ledger's indexes, writes batches into it, and drops it. It is a
 * real table if the role may create one: `TEMPORARY` tables are visible to one connection only, and
 * their commits do not wait for the disk.
 *
 * @throws the error of TypeORM, pg or the sink; the signal's reason
 * @internal
 */
export async function measureServer(
  plan: MeasurePlan,
  output: CommandOutput,
): Promise<Measurement> {
  const bench = new TuneTable(plan);
  try {
    const maxConnections = await bench.create();
    const most = Math.max(1, Math.min(plan.mostWorkers, Math.floor(maxConnections / 2)));
    const workers = growing(most);
    const bar = output.progress('measuring', workers.length * BATCH_SIZES.length, 'steps');
    const steps: MeasuredStep[] = [];
    let best = 0;
    try {
      for (const count of workers) {
        const before = best;
        for (const batchSize of BATCH_SIZES) {
          const step = await bench.measure(count, batchSize);
          steps.push(step);
          best = Math.max(best, step.entriesPerSecond);
          bar.at(steps.length);
        }
        if (best < before * WORTHWHILE) break;
      }
    } finally {
      bar.end();
    }
    return { maxConnections, steps, isWithoutLog: bench.isTemporary };
  } finally {
    await bench.drop();
  }
}

/** 1, 2, 4 … and the most itself. */
function growing(most: number): number[] {
  const counts: number[] = [];
  for (let count = 1; count < most; count *= 2) counts.push(count);
  return [...counts, most];
}
