import { roomFor } from '../setup/bench-ledger.js';
import { takeTurns } from '../setup/figures.js';
import { Writer } from '../setup/writer.js';
import type { Bench, Part } from './part.js';

const BATCH_SIZE = 5000;
/** Workers of each process: a single process must be able to use both cores. */
const WORKERS = 2;

/**
 * Rows of a round: each of five processes writes for some seconds, and its last batch is a small
 * part.
 */
const ROWS = 600_000;
/** Share of the full speed just reached by one process: a rate that all should sustain. */
const SHARE = 0.8;

const FULL_SPEED = 'batch 5,000, at full speed';
const ONE_RATE = `batch 5,000, together ${SHARE * 100} % of what one reaches`;

/** Processes that write together. */
interface Team {
  readonly setting: string;
  readonly writers: readonly Writer[];
}

/** Several processes that write into one table, together as many entries as one. */
export const processes: Part = {
  name: 'processes',
  title: 'Several processes into one table',
  async run(bench) {
    const writers = await startAll(bench, bench.isQuick ? 2 : 5, WORKERS);
    // One process with as many connections as five: the loss due to connections is not due to
    // processes.
    const wide = bench.isQuick ? [] : await startAll(bench, 1, 5 * WORKERS);
    const teams = [
      { setting: '1 process', writers: writers.slice(0, 1) },
      { setting: '2 processes', writers: writers.slice(0, 2) },
      ...(bench.isQuick
        ? []
        : [
            { setting: '5 processes', writers },
            { setting: '1 process, 10 workers', writers: wide },
          ]),
    ];
    let reached = 0;
    const turns = teams.flatMap((team, index) => [
      async (isCounted: boolean) => {
        const perSecond = await together(bench, team, { group: FULL_SPEED, rate: 0, isCounted });
        if (index === 0) reached = perSecond;
      },
      async (isCounted: boolean) => {
        await together(bench, team, { group: ONE_RATE, rate: reached * SHARE, isCounted });
      },
    ]);
    await takeTurns(bench.rounds, turns);
    await Promise.all([...writers, ...wide].map((writer) => writer.end()));
  },
};

/** Starts processes, and warms each up: a part of a round would end before its compiler. */
async function startAll(
  { database, isQuick }: Bench,
  count: number,
  workers: number,
): Promise<Writer[]> {
  const input = {
    url: database.url,
    kind: 'small',
    options: roomFor(BATCH_SIZE, workers),
  } as const;
  const writers = await Promise.all(Array.from({ length: count }, () => Writer.start(input)));
  for (const writer of writers) {
    await database.clear('small');
    await writer.run({ entries: isQuick ? 10_000 : 300_000, perSecond: 0 });
  }
  return writers;
}

/** @param rate of all together; 0: as fast as they write @returns rows/s, up to the last commit */
async function together(
  { database, figures, isQuick }: Bench,
  { setting, writers }: Team,
  { group, rate, isCounted }: { group: string; rate: number; isCounted: boolean },
): Promise<number> {
  const rows = (isQuick ? 20_000 : ROWS) / (rate > 0 ? 2 : 1);
  await database.clear('small');
  const startedAt = performance.now();
  const order = { entries: rows / writers.length, perSecond: rate / writers.length };
  const reports = await Promise.all(writers.map((writer) => writer.run(order)));
  const ms = performance.now() - startedAt;
  const written = reports.reduce((sum, report) => sum + report.written, 0);
  await database.check('small', written);
  const perSecond = (written * 1000) / ms;
  const key = { group, contender: 'ledger', setting };
  if (isCounted) figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, perSecond);
  return perSecond;
}
