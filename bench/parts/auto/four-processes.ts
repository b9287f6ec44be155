import type { LedgerOptions } from '../../../libs/ledger/src/config/ledger-options.interface.js';
import { roomFor } from '../../setup/bench-ledger.js';
import { takeTurns } from '../../setup/figures.js';
import { Writer } from '../../setup/writer.js';
import { measure, type Bench } from '../part.js';

const PROCESSES = 4;
/** Heading of the figures. */
export const FOUR_PROCESSES = 'four processes at full speed';

/** Settings of each process. With one worker each, four processes use two connections a core. */
const CELLS = [
  { batchSize: 5_000, workers: 1 },
  { batchSize: 5_000, workers: 2 },
  { batchSize: 10_000, workers: 1 },
];
const AUTO: LedgerOptions = { profile: 'auto', bufferMaxBytes: 2 ** 31 };

/** Rows of all processes together in one turn. */
const ROWS = 400_000;
/**
 * Rows of one process before any measurement: its code is compiled, and `auto` has found its
 * workers.
 */
const WARM_UP_ROWS = 400_000;

/** Processes that write together with one setting. */
interface Team {
  readonly contender: string;
  readonly writers: readonly Writer[];
}

/** Four processes with `auto` next to four with each fixed setting, alternately, into one table. */
export async function compareFourProcesses(bench: Bench): Promise<void> {
  const { database, figures, rounds } = bench;
  const teams = [await start(bench, 'auto', AUTO)];
  for (const { batchSize, workers } of CELLS) {
    const plural = workers === 1 ? '' : 's';
    const contender = `batch ${batchSize}, ${workers} worker${plural}`;
    teams.push(await start(bench, contender, roomFor(batchSize, workers)));
  }
  const turns = teams.map(({ contender, writers }) => async (isCounted: boolean) => {
    await database.clear('small');
    const order = { entries: ROWS / PROCESSES, perSecond: 0 };
    const { ms } = await measure(async () => {
      await Promise.all(writers.map((writer) => writer.run(order)));
    });
    await database.check('small', ROWS);
    const key = { group: FOUR_PROCESSES, contender, setting: '' };
    if (isCounted) figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (ROWS * 1000) / ms);
  });
  await takeTurns(rounds, turns);
  for (const { writers } of teams) await Promise.all(writers.map((writer) => writer.end()));
}

async function start(
  { database }: Bench,
  contender: string,
  options: LedgerOptions,
): Promise<Team> {
  const input = { url: database.url, kind: 'small', options } as const;
  const writers = await Promise.all(Array.from({ length: PROCESSES }, () => Writer.start(input)));
  await database.clear('small');
  const order = { entries: WARM_UP_ROWS, perSecond: 0 };
  await Promise.all(writers.map((writer) => writer.run(order)));
  return { contender, writers };
}
