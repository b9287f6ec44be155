import type { BenchDatabase } from '../setup/bench-database.js';
import type { Figures } from '../setup/figures.js';

/** Input of a part of the benchmark. */
export interface Bench {
  readonly database: BenchDatabase;
  readonly figures: Figures;
  /** Smaller sizes: the run ends within 90 s, and its figures are not a measurement. */
  readonly isQuick: boolean;
  /** Rounds that count, for each contender. */
  readonly rounds: number;
  /** Rows of the large tables, if they should differ from the size required by the bars. */
  readonly tableRows: number | undefined;
}

/** One part: measures, and adds its results to `bench.figures`. */
export interface Part {
  readonly name: string;
  readonly title: string;
  /**
   * Settings of a separate server, as in postgresql.conf; other parts share one with the defaults.
   */
  readonly server?: Readonly<Record<string, string>>;
  /** A quick run of all parts excludes it; default: false. */
  readonly isQuickOnlyByName?: boolean;
  /**
   * A missing program required by the part; undefined if there is none. The run then skips the
   * part.
   */
  missing?(): string | undefined;
  run(bench: Bench): Promise<void>;
}

/** Wall clock and CPU of this process while `work` ran. */
export async function measure(work: () => Promise<void>): Promise<{ ms: number; cpuMs: number }> {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  const ms = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpuMs: (user + system) / 1000 };
}
