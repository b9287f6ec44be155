import { createBenchLedger, roomFor, type BenchLedger } from '../setup/bench-ledger.js';
import { Child } from '../setup/child.js';
import { takeTurns } from '../setup/figures.js';
import type { DelayInput } from '../processes/delay.process.js';
import { compareFourProcesses } from './auto/four-processes.js';
import { measure, type Bench, type Part } from './part.js';

/** The best cells of the grid by `throughput`, and by `distance`. */
const CELLS = [
  { batchSize: 5_000, workers: 2 },
  { batchSize: 10_000, workers: 2 },
  { batchSize: 5_000, workers: 4 },
];
const DISTANT_CELLS = [
  { batchSize: 5_000, workers: 4 },
  { batchSize: 10_000, workers: 4 },
  { batchSize: 5_000, workers: 8 },
];
const ROUND_TRIP_MS = 10;

const ROWS = 300_000;
/** This many rows under a backlog let `auto` end its trials. */
const SEARCH_ROWS = 3_000_000;
/** Waiting full batches at that time, so that each look finds two of them. */
const SEARCH_BACKLOG = 4;
/** Rounds at full speed, independent of the other parts: the noise of one is 20 %. */
const SPEED_ROUNDS = 11;

interface Place {
  readonly url: string;
  readonly group: string;
  readonly cells: readonly { readonly batchSize: number; readonly workers: number }[];
  readonly rounds: number;
}

/** Profile `auto` next to the best fixed settings, alternately, at full speed. */
export const auto: Part = {
  name: 'auto',
  title: 'Profile auto against the best fixed settings, at full speed',
  async run(bench) {
    const { database, isQuick } = bench;
    const { url } = database;
    const rounds = isQuick ? 1 : SPEED_ROUNDS;
    await compare(bench, { url, group: 'at full speed', cells: CELLS, rounds });
    if (isQuick) return;
    await compareFourProcesses(bench);
    const input: DelayInput = { port: Number(new URL(url).port), oneWayMs: ROUND_TRIP_MS / 2 };
    const proxy = new Child('delay', input);
    const address = new URL(url);
    address.port = String((await proxy.next<{ port: number }>()).port);
    await compare(bench, {
      url: address.href,
      group: `a server ${ROUND_TRIP_MS} ms away`,
      cells: DISTANT_CELLS,
      rounds: bench.rounds,
    });
    proxy.send({});
    await proxy.end();
  },
};

async function compare(bench: Bench, place: Place): Promise<void> {
  const { database, figures, isQuick } = bench;
  const { url, group, cells, rounds } = place;
  const rows = isQuick ? 20_000 : ROWS;
  const own = await createBenchLedger(url, 'small', {
    profile: 'auto',
    bufferMaxBytes: 2 ** 31,
  });
  const others = await Promise.all(
    cells.map(async ({ batchSize, workers }) => ({
      contender: `batch ${batchSize}, ${workers} workers`,
      ledger: await createBenchLedger(url, 'small', roomFor(batchSize, workers)),
    })),
  );
  if (!isQuick) await search(bench, own, place);
  const turns = [{ contender: 'auto', ledger: own }, ...others].map(
    ({ contender, ledger }) =>
      async (isCounted: boolean): Promise<void> => {
        await database.clear('small');
        const { ms, cpuMs } = await measure(() => ledger.pump(rows));
        await database.check('small', rows);
        if (!isCounted) return;
        const key = { group, contender, setting: '' };
        figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (rows * 1000) / ms);
        figures.add({ ...key, metric: 'CPU of Node', unit: 'µs/entry' }, (cpuMs * 1000) / rows);
      },
  );
  await takeTurns(rounds, turns);
  for (const { ledger } of [{ ledger: own }, ...others]) await ledger.close();
}

/** Lets `auto` search for its workers under a lasting backlog, and records the result. */
async function search(
  { database, figures }: Bench,
  own: BenchLedger,
  { group }: Place,
): Promise<void> {
  await database.clear('small');
  await own.pump(SEARCH_ROWS, SEARCH_BACKLOG);
  const { workers, delayMs, tried, why } = own.ledger.stats().auto!;
  const trials = tried.map((each) => `${each.workers} workers ${each.ratio.toFixed(2)} x`);
  figures.notes.push(
    `${group}: ${workers} workers, delay ${delayMs} ms; tried ${trials.join(', ') || 'nothing'} (${why})`,
  );
}
