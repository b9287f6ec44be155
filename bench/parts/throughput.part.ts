import { BareLoop } from '../setup/bare-copy.js';
import { createBenchLedger, roomFor, roundRows } from '../setup/bench-ledger.js';
import { ENTRY_KINDS, type EntryKind } from '../setup/entries.js';
import { takeTurns, type FigureKey } from '../setup/figures.js';
import { ServerCopy } from '../setup/server-copy.js';
import { makeReady, UsersWays } from '../setup/users-ways.js';
import { measure, type Bench, type Part } from './part.js';

const BATCH_SIZES = [50, 100, 500, 1000, 2000, 5000, 10_000];
const WORKERS = [1, 2, 4, 8, 50];

interface Shape {
  readonly kind: EntryKind;
  readonly batchSize: number;
  readonly workers: number;
  readonly strategy: 'copy' | 'insert';
}

/** record() to committed, for every batch size and number of workers, next to its controls. */
export const throughput: Part = {
  name: 'throughput',
  title: 'Throughput: record() to committed',
  async run(bench) {
    for (const kind of bench.isQuick ? ENTRY_KINDS.slice(0, 1) : ENTRY_KINDS) {
      await compareAll(bench, kind);
    }
    for (const shape of shapes(bench.isQuick)) await compareWithBareLoop(bench, shape);
  },
};

function shapes(isQuick: boolean): Shape[] {
  const base = { kind: 'small', strategy: 'copy' } as const;
  if (isQuick) return [{ ...base, batchSize: 500, workers: 2 }];
  const matrix = WORKERS.flatMap((workers) =>
    BATCH_SIZES.map((batchSize): Shape => ({ ...base, batchSize, workers })),
  );
  const others = BATCH_SIZES.flatMap((batchSize): Shape[] => [
    { batchSize, workers: 2, kind: 'large', strategy: 'copy' },
    { batchSize, workers: 2, kind: 'small', strategy: 'insert' },
  ]);
  return [...matrix, ...others];
}

async function compareWithBareLoop(bench: Bench, shape: Shape): Promise<void> {
  const { database, figures, isQuick } = bench;
  const { kind, batchSize, workers, strategy } = shape;
  const rows = isQuick ? 10_000 : roundRows(batchSize, workers);
  const options = { ...roomFor(batchSize, workers), strategy };
  const ledger = await createBenchLedger(database.url, kind, options);
  const bare = await BareLoop.open(database.url, kind, workers);
  const messages = bare.prepare(rows, batchSize);
  const plural = workers === 1 ? '' : 's';
  const group = `${kind} entries, ${workers} worker${plural}, ${strategy}`;
  const turn = (contender: string, work: () => Promise<void>) => async (isCounted: boolean) => {
    await database.clear(kind);
    const { ms, cpuMs } = await measure(work);
    await database.check(kind, rows);
    if (!isCounted) return;
    const key = { group, contender, setting: batchSize };
    figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (rows * 1000) / ms);
    figures.add({ ...key, metric: 'CPU of Node', unit: 'µs/entry' }, (cpuMs * 1000) / rows);
  };
  await takeTurns(bench.rounds, [
    turn('ledger', () => ledger.pump(rows)),
    turn('bare loop', () => bare.run(messages)),
  ]);
  await ledger.close();
  await bare.close();
}

/** The best batch size of each number of workers, from the matrix below. */
const BEST = { oneWorker: 10_000, twoWorkers: 5000 };

/** The best setting next to the server alone and common alternatives. */
async function compareAll(bench: Bench, kind: EntryKind): Promise<void> {
  const { database, isQuick } = bench;
  const rows = isQuick ? 10_000 : 300_000;
  const { url } = database;
  const one = await createBenchLedger(url, kind, roomFor(BEST.oneWorker, 1));
  const two = await createBenchLedger(url, kind, roomFor(BEST.twoWorkers, 2));
  const serverOne = await ServerCopy.open(database, kind, { rows, connections: 1 });
  const serverTwo = await ServerCopy.open(database, kind, { rows, connections: 2 });
  const ways = await UsersWays.open(url, kind);
  const ready = makeReady(kind, isQuick ? 2000 : 20_000);
  const add = adder(bench, kind);
  await takeTurns(bench.rounds, [
    add('ledger, 1 worker', rows, () => one.pump(rows)),
    add('ledger, 2 workers', rows, () => two.pump(rows)),
    add('server alone, 1 connection', rows, () => serverOne.run()),
    add('server alone, 2 connections', rows, () => serverTwo.run()),
    ...ways.all().map((way) => {
      // One INSERT per entry is slow, so their number is chosen to take about a second.
      const share = way.batchSize === 1 ? 0.1 : 1;
      const entries = ready.slice(0, ready.length * share);
      return add(way.name, entries.length, () => UsersWays.run(way, entries));
    }),
  ]);
  for (const each of [one, two, serverOne, serverTwo, ways]) await each.close();
}

function adder(bench: Bench, kind: EntryKind) {
  const { database, figures } = bench;
  return (contender: string, rows: number, work: () => Promise<void>) =>
    async (isCounted: boolean): Promise<void> => {
      await database.clear(kind);
      const { ms, cpuMs } = await measure(work);
      await database.check(kind, rows);
      if (!isCounted) return;
      const key: Omit<FigureKey, 'metric' | 'unit'> = {
        group: `${kind} entries, all contenders`,
        contender,
        setting: '',
      };
      figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (rows * 1000) / ms);
      figures.add({ ...key, metric: 'CPU of Node', unit: 'µs/entry' }, (cpuMs * 1000) / rows);
    };
}
