import { roomFor } from '../setup/bench-ledger.js';
import { takeTurns } from '../setup/figures.js';
import { Writer } from '../setup/writer.js';
import type { Bench, Part } from './part.js';

const COUNTS = [1, 2, 5];
const BATCH_SIZE = 5000;
/** Workers of each process: one process alone must be able to use both cores. */
const WORKERS = 2;

/** Of a round: a process of five writes for some seconds, and its last batch is little of it. */
const ROWS = 1_000_000;

/** Several processes that write into one table, together as many entries as one. */
export const processes: Part = {
  name: 'processes',
  title: 'Several processes into one table',
  async run(bench) {
    const { url } = bench.database;
    const input = { url, kind: 'small', options: roomFor(BATCH_SIZE, WORKERS) } as const;
    const counts = bench.isQuick ? [1, 2] : COUNTS;
    const writers = await Promise.all(
      Array.from({ length: Math.max(...counts) }, () => Writer.start(input)),
    );
    // Each its own warm-up: a fifth of a round would leave a process in front of its compiler.
    const warm = bench.isQuick ? 10_000 : 300_000;
    for (const writer of writers) {
      await bench.database.clear('small');
      await writer.run({ entries: warm, perSecond: 0 });
    }
    const turns = counts.map((count) => (isCounted: boolean) => {
      return together(bench, writers.slice(0, count), isCounted);
    });
    await takeTurns(bench.rounds, turns);
    await Promise.all(writers.map((writer) => writer.end()));
  },
};

async function together(
  { database, figures, isQuick }: Bench,
  writers: readonly Writer[],
  isCounted: boolean,
): Promise<void> {
  const rows = isQuick ? 50_000 : ROWS;
  await database.clear('small');
  const startedAt = performance.now();
  const entries = rows / writers.length;
  const reports = await Promise.all(writers.map((writer) => writer.run({ entries, perSecond: 0 })));
  const ms = performance.now() - startedAt;
  const written = reports.reduce((sum, report) => sum + report.written, 0);
  await database.check('small', written);
  if (!isCounted) return;
  const key = { group: `batch 5,000, ${WORKERS} workers each`, contender: 'ledger' };
  const setting = `${writers.length} process${writers.length === 1 ? '' : 'es'}`;
  figures.add({ ...key, setting, metric: 'rows', unit: 'rows/s' }, (written * 1000) / ms);
}
