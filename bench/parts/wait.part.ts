import { createBenchLedger } from '../setup/bench-ledger.js';
import { makeEntry } from '../setup/entries.js';
import { callAtOnce } from '../setup/call-at-once.js';
import { takeTurns } from '../setup/figures.js';
import { makeReady, UsersWays } from '../setup/users-ways.js';
import type { Bench, Part } from './part.js';

const CALLERS = [1, 10, 100, 1000];

/** Callers that wait for the commit, next to as many that each await their own INSERT. */
export const wait: Part = {
  name: 'wait',
  title: 'recordAndWait() beside an awaited INSERT on a pool of 10',
  async run(bench) {
    const { url } = bench.database;
    const ledger = await createBenchLedger(url, 'small', { batchSize: 1000, numWorkers: 2 });
    const ways = await UsersWays.open(url, 'small');
    const insert = ways.all().at(-1)!;
    for (const callers of bench.isQuick ? [1, 100] : CALLERS) {
      const { awaited } = ledger.ledger;
      await takeTurns(bench.rounds, [
        turn(bench, { contender: 'recordAndWait', callers }, (i) =>
          awaited.record(makeEntry('small', i), {}),
        ),
        turn(bench, { contender: 'awaited INSERT, pool of 10', callers }, () =>
          insert.write(makeReady('small', 1)),
        ),
      ]);
    }
    await ledger.close();
    await ways.close();
  },
};

interface Callers {
  readonly contender: string;
  readonly callers: number;
}

function turn(
  bench: Bench,
  { contender, callers }: Callers,
  write: (i: number) => Promise<unknown>,
) {
  return async (isCounted: boolean): Promise<void> => {
    const { database, figures, isQuick } = bench;
    await database.clear('small');
    const ms = isQuick || !isCounted ? 300 : 1000;
    const calls = await callAtOnce({ callers, ms }, write);
    await database.check('small', calls.count);
    if (!isCounted) return;
    const key = { group: 'callers at once', contender, setting: callers };
    figures.add({ ...key, metric: 'entries', unit: 'entries/s' }, calls.perSecond);
    figures.add({ ...key, metric: 'wait p50', unit: 'ms' }, calls.p50);
    figures.add({ ...key, metric: 'wait p99', unit: 'ms' }, calls.p99);
  };
}
