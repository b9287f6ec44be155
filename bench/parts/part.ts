import type { BenchDatabase } from '../setup/bench-database.js';
import type { Figures } from '../setup/figures.js';

/** What a part of the benchmark works with. */
export interface Bench {
  readonly database: BenchDatabase;
  readonly figures: Figures;
  /** Everything smaller: the run ends within 90 s and its figures are no measurement. */
  readonly isQuick: boolean;
  /** Rounds that count, for each contender. */
  readonly rounds: number;
  /** Rows of the large tables, where they are not to be as large as the bars ask for. */
  readonly tableRows: number | undefined;
}

/** One part: measures, and adds what it found to `bench.figures`. */
export interface Part {
  readonly name: string;
  readonly title: string;
  /** Settings of a server of its own, as in postgresql.conf; others share one with the default ones. */
  readonly server?: Readonly<Record<string, string>>;
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
