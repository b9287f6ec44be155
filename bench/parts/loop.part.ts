import type { LedgerOptions } from '../../libs/ledger/src/config/ledger-options.interface.js';
import { roomFor } from '../setup/bench-ledger.js';
import { Child } from '../setup/child.js';
import { takeTurns } from '../setup/figures.js';
import type { LoopReport } from '../setup/loop-watch.js';
import { Writer } from '../setup/writer.js';
import type { Bench, Part } from './part.js';

/** Entries a second; 0 is as fast as they are written. */
const RATES = [10_000, 50_000, 0];
const BATCH_SIZES = [100, 2000, 10_000];
const WORKERS = 2;
/** Assumed entries a second at full speed, which determine the size of a round. */
const FULL_SPEED = 200_000;
const TRICKLE = { perSecond: 5, warmUpSeconds: 10, seconds: 20 };

/** The ledger's event loop, next to that of an idle process under the same server load. */
export const loop: Part = {
  name: 'loop',
  title: 'Event loop of the recording process, and of an idle one beside it',
  async run(bench) {
    const { isQuick } = bench;
    const rates = isQuick ? [10_000] : RATES;
    const batchSizes = isQuick ? [2000] : BATCH_SIZES;
    for (const batchSize of batchSizes) {
      const options = { ...roomFor(batchSize, WORKERS), bufferSize: 500_000, flushMs: 200 };
      const { url } = bench.database;
      const writer = await Writer.start({ url, kind: 'small', options });
      const turns = rates.map((rate) => (isCounted: boolean) => {
        return watch(bench, writer, { rate, batchSize, isCounted });
      });
      await takeTurns(bench.rounds, turns);
      await writer.end();
    }
    await trickle(bench);
  },
};

interface Setting {
  readonly rate: number;
  readonly batchSize: number;
  readonly isCounted: boolean;
}

async function watch(bench: Bench, writer: Writer, setting: Setting): Promise<void> {
  const { database, figures, isQuick } = bench;
  const { rate, batchSize, isCounted } = setting;
  const seconds = isQuick || !isCounted ? 1 : 2;
  await database.clear('small');
  const idle = new Child('idle', { ms: seconds * 1000, isDelayWatched: true });
  await idle.next();
  idle.send({});
  const perSecond = rate === 0 ? FULL_SPEED : rate;
  const report = await writer.run({ entries: perSecond * seconds, perSecond: rate });
  const floor = await idle.next<LoopReport>();
  await idle.end();
  if (report.dropped > 0) bench.figures.notes.push(`${report.dropped} dropped at ${rate}/s`);
  await database.check('small', report.written);
  if (!isCounted) return;
  const group = rate === 0 ? 'full speed' : `${rate.toLocaleString('en-US')} entries/s`;
  for (const [contender, { p50, p99, max, utilisation }] of [
    ['ledger', report.loop],
    ['idle process', floor],
  ] as const) {
    const key = { group, contender, setting: batchSize };
    figures.add({ ...key, metric: 'delay p50', unit: 'ms' }, p50);
    figures.add({ ...key, metric: 'delay p99', unit: 'ms' }, p99);
    figures.add({ ...key, metric: 'delay max', unit: 'ms' }, max);
    figures.add({ ...key, metric: 'utilisation', unit: '%' }, utilisation * 100);
  }
}

/** Only a few entries a second: the cost of the ledger's timers. */
async function trickle({ database, figures, isQuick }: Bench): Promise<void> {
  const seconds = isQuick ? 1 : TRICKLE.seconds;
  const options: LedgerOptions = { numWorkers: 2 };
  const writer = await Writer.start({ url: database.url, kind: 'small', options });
  // The remaining work of the start (compiled code, opened connections) ends after a while.
  const warmUp = TRICKLE.perSecond * (isQuick ? 1 : TRICKLE.warmUpSeconds);
  await writer.run({ entries: warmUp, perSecond: TRICKLE.perSecond });
  const idle = new Child('idle', { ms: seconds * 1000, isDelayWatched: false });
  await idle.next();
  idle.send({});
  const order = { entries: TRICKLE.perSecond * seconds, perSecond: TRICKLE.perSecond };
  const { loop } = await writer.run(order);
  const floor = await idle.next<LoopReport>();
  await idle.end();
  await writer.end();
  const key = {
    group: 'a trickle of 5 entries/s',
    setting: '',
    metric: 'CPU',
    unit: '% of a core',
  };
  figures.add({ ...key, contender: 'ledger' }, loop.cpu * 100);
  figures.add({ ...key, contender: 'idle process' }, floor.cpu * 100);
}
