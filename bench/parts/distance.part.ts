import { createBenchLedger, roomFor } from '../setup/bench-ledger.js';
import { Child } from '../setup/child.js';
import { takeTurns } from '../setup/figures.js';
import type { DelayInput } from '../processes/delay.process.js';
import { measure, type Bench, type Part } from './part.js';

const ROUND_TRIPS_MS = [0, 2, 10];
const SHAPES = [
  { batchSize: 500, workers: 8 },
  { batchSize: 5000, workers: 2 },
  { batchSize: 5000, workers: 4 },
  { batchSize: 5000, workers: 8 },
];

/** A remote server: the same loopback, with every byte delayed by a proxy. */
export const distance: Part = {
  name: 'distance',
  title: 'A server at a distance',
  async run(bench) {
    for (const shape of bench.isQuick ? SHAPES.slice(2, 3) : SHAPES) await compare(bench, shape);
  },
};

async function compare(
  bench: Bench,
  { batchSize, workers }: { batchSize: number; workers: number },
): Promise<void> {
  const { database, figures, isQuick } = bench;
  const rows = isQuick ? 40_000 : 200_000;
  const { port } = new URL(database.url);
  const ends: (() => Promise<void>)[] = [];
  const turns: ((isCounted: boolean) => Promise<void>)[] = [];
  for (const roundTripMs of isQuick ? ROUND_TRIPS_MS.slice(1, 2) : ROUND_TRIPS_MS) {
    // The proxy is used at 0 ms too, so that its own cost does not count as distance.
    const input: DelayInput = { port: Number(port), oneWayMs: roundTripMs / 2 };
    const proxy = new Child('delay', input);
    const url = new URL(database.url);
    url.port = String((await proxy.next<{ port: number }>()).port);
    const ledger = await createBenchLedger(url.href, 'small', roomFor(batchSize, workers));
    turns.push(async (isCounted) => {
      await database.clear('small');
      const { ms } = await measure(() => ledger.pump(rows));
      await database.check('small', rows);
      const group = `batch ${batchSize.toLocaleString('en-US')}`;
      const contender = `ledger, ${workers} workers`;
      const key = { group, contender, setting: roundTripMs, metric: 'rows', unit: 'rows/s' };
      if (isCounted) figures.add(key, (rows * 1000) / ms);
    });
    ends.push(async () => {
      await ledger.close();
      proxy.send({});
      await proxy.end();
    });
  }
  await takeTurns(bench.rounds, turns);
  for (const end of ends) await end();
}
