import {
  LEDGER_PROFILES,
  type LedgerProfile,
} from '../../libs/ledger/src/config/ledger-profiles.js';
import { median, percentile, takeTurns, type FigureKey } from '../setup/figures.js';
import { ProbeWatch } from '../setup/probe-watch.js';
import { serverCpuMs } from '../setup/server-cpu.js';
import { Writer } from '../setup/writer.js';
import type { Bench, Part } from './part.js';
import { TOPS } from './profiles.part.js';

/** Share of the capacity that is offered if the top of a tier exceeds it. */
const TOP_SHARE = 0.8;
const CAPACITY_ENTRIES = 200_000;
const SECONDS = 3;
/** One long flush determines the p99 of one round. */
const MOST_ROUNDS = 3;

/** Profile `auto` next to the profile of each tier, alternately, at the top rate of the tier. */
export const autoRates: Part = {
  name: 'auto-rates',
  title: 'Profile auto against the profile of each rate: lag and CPU',
  async run(bench) {
    const all = Object.entries(LEDGER_PROFILES);
    const tiers = bench.isQuick ? all.slice(2, 3) : all;
    for (const [name, profile] of tiers) await compare(bench, name, profile);
  },
};

async function compare(bench: Bench, setting: string, profile: LedgerProfile): Promise<void> {
  const { url } = bench.database;
  const own = await Writer.start({ url, kind: 'small', options: { profile: 'auto' } });
  const fixed = await Writer.start({ url, kind: 'small', options: profile });
  const rate = Math.min(TOPS[setting]!, await mostOf(bench, fixed, TOPS[setting]!));
  const turn = (contender: string, writer: Writer) => async (isCounted: boolean) => {
    const found = await runAt(bench, writer, rate);
    if (!isCounted) return;
    const key = { group: 'at the top rate of each tier', contender, setting };
    for (const [metric, { value, unit }] of Object.entries(found)) {
      bench.figures.add({ ...key, metric, unit } satisfies FigureKey, value);
    }
  };
  await takeTurns(Math.min(MOST_ROUNDS, bench.rounds), [turn('auto', own), turn('profile', fixed)]);
  await own.end();
  await fixed.end();
}

/** A rate that the server can sustain: a higher one would only show the channel filling up. */
async function mostOf({ database, isQuick }: Bench, writer: Writer, top: number): Promise<number> {
  if (isQuick || top <= 10_000) return top;
  await database.clear('small');
  const { ms, written } = await writer.run({ entries: CAPACITY_ENTRIES, perSecond: 0 });
  return Math.floor((((written * 1000) / ms) * TOP_SHARE) / 100) * 100;
}

type Found = Record<string, { value: number; unit: string }>;

async function runAt({ database, isQuick }: Bench, writer: Writer, rate: number): Promise<Found> {
  await database.clear('small');
  const watch = new ProbeWatch();
  const looking = watch.look(database.url);
  const cpu = (): Promise<number> => serverCpuMs(database.dataDir, [watch.pid]);
  const before = await cpu();
  const entries = Math.round(rate * (isQuick ? 1 : SECONDS));
  const report = await writer.run({ entries, perSecond: rate }, (probe) => watch.add(probe));
  // Before the watch ends: the time of an ended process counts towards the first process.
  const server = (await cpu()) - before;
  const lags = await watch.finish(looking);
  await database.check('small', report.written);
  const micros = (ms: number) => ({ value: (ms * 1000) / entries, unit: 'µs/entry' });
  return {
    rate: { value: rate, unit: 'entries/s' },
    'lag p50': { value: percentile(lags, 0.5), unit: 'ms' },
    'lag p99': { value: percentile(lags, 0.99), unit: 'ms' },
    CPU: micros(report.cpuMs + server),
    'CPU of Node': micros(report.cpuMs),
    'CPU of the server': micros(server),
    'rows a flush': { value: report.written / Math.max(1, report.flushes.length), unit: 'rows' },
    'flush p50': { value: median(report.flushes), unit: 'ms' },
    dropped: { value: report.dropped, unit: 'entries' },
  };
}
