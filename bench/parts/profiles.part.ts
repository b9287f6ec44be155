import {
  LEDGER_PROFILES,
  type LedgerProfile,
} from '../../libs/ledger/src/config/ledger-profiles.js';
import { BareLoop } from '../setup/bare-copy.js';
import { createBenchLedger, roomFor, roundRows } from '../setup/bench-ledger.js';
import { median, percentile, takeTurns } from '../setup/figures.js';
import { ProbeWatch } from '../setup/probe-watch.js';
import { Writer } from '../setup/writer.js';
import { measure, type Bench, type Part } from './part.js';

/** Top of each row of the guide's table, in requests a second. */
export const TOPS: Readonly<Record<string, number>> = {
  low: 100,
  medium: 1000,
  high: 10_000,
  'very-high': 100_000,
  ultra: 1_000_000,
};
const SHARES = [0.1, 0.5, 0.8];
const LAG_OPTIONS = { batchSize: 2000, numWorkers: 2, bufferSize: 200_000, flushMs: 200 };

/** Entries of a run at full speed, which determines the capacity. */
const CAPACITY_ENTRIES = 200_000;
/** Share of its own capacity used for a profile whose range exceeds it. */
const TOP_SHARE = 0.8;

/** The guide's profiles at their rates, and the lag at shares of the capacity. */
export const profiles: Part = {
  name: 'profiles',
  title: "The guide's profiles: lag, losses, throughput",
  async run(bench) {
    const all = Object.entries(LEDGER_PROFILES);
    for (const [setting, options] of bench.isQuick ? all.slice(1, 2) : all) {
      const wanted = TOPS[setting]!;
      // A rate above the server's capacity would only show the channel filling up.
      await lagAt(bench, { group: 'profiles', setting, wanted, share: TOP_SHARE, options });
      if (!bench.isQuick) await compareWithBareLoop(bench, setting, options);
    }
    for (const share of bench.isQuick ? [0.5] : SHARES) {
      const setting = `${share * 100} % of capacity`;
      const group = 'batch 2,000, 2 workers, flush 200 ms';
      const wanted = Number.POSITIVE_INFINITY;
      await lagAt(bench, { group, setting, wanted, share, options: LAG_OPTIONS });
    }
  },
};

interface LagRun {
  readonly group: string;
  readonly setting: string;
  /** Entries a second, or less: `share` of the capacity. */
  readonly wanted: number;
  readonly share: number;
  readonly options: Omit<LedgerProfile, 'bufferMaxBytes'>;
}

/** Lag in rounds; the capacity, of which the rate is a share, is measured directly before each. */
async function lagAt(bench: Bench, run: LagRun): Promise<void> {
  const { database, figures, isQuick } = bench;
  const { group, setting, wanted, share, options } = run;
  const writer = await Writer.start({ url: database.url, kind: 'small', options });
  let capacity = 0;
  let rate = 0;
  await takeTurns(bench.rounds, [
    async (isCounted) => {
      // If the rate is far below, one measurement is enough.
      if (capacity * share < 2 * wanted) capacity = await capacityOf(writer, bench);
      rate = Math.min(wanted, Math.floor((capacity * share) / 100) * 100);
      const lag = await lagOnce(bench, writer, { rate, flushMs: options.flushMs });
      if (!isCounted) return;
      for (const [metric, { value, unit }] of Object.entries(lag)) {
        figures.add({ group, setting, contender: 'ledger', metric, unit }, value);
      }
    },
  ]);
  await writer.end();
  if (rate < wanted && wanted !== Number.POSITIVE_INFINITY && !isQuick) {
    const reached = `${rate} of ${wanted} requests/s: ${share * 100} % of what it takes here`;
    figures.notes.push(`profile ${setting} at ${reached}`);
  }
}

/** Sustained entries a second of the writer. */
async function capacityOf(writer: Writer, { database, isQuick }: Bench): Promise<number> {
  await database.clear('small');
  const entries = isQuick ? 20_000 : CAPACITY_ENTRIES;
  const { ms, written } = await writer.run({ entries, perSecond: 0 });
  return (written * 1000) / ms;
}

/** Lag from record() to visible, as seen by another connection. */
async function lagOnce(
  { database, isQuick }: Bench,
  writer: Writer,
  { rate, flushMs }: { rate: number; flushMs: number },
): Promise<Record<string, { value: number; unit: string }>> {
  await database.clear('small');
  const seconds = isQuick ? 1 : Math.max(4, (3 * flushMs) / 1000);
  const watch = new ProbeWatch();
  const looking = watch.look(database.url);
  const order = { entries: Math.round(rate * seconds), perSecond: rate };
  const report = await writer.run(order, (probe) => watch.add(probe));
  const lags = await watch.finish(looking);
  const { rows } = await database.admin.query<{ count: string }>(
    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'nestjs-ledger%'",
  );
  await database.check('small', report.written);
  const flush = median(report.flushes);
  const ms = (value: number): { value: number; unit: string } => ({ value, unit: 'ms' });
  return {
    rate: { value: rate, unit: 'entries/s' },
    'lag p50': ms(percentile(lags, 0.5)),
    'lag p99': ms(percentile(lags, 0.99)),
    'bound: flushMs + two flushes': ms(flushMs + 2 * flush),
    'flush p50': ms(flush),
    'flush p99': ms(percentile(report.flushes, 0.99)),
    dropped: { value: report.dropped, unit: 'entries' },
    connections: { value: Number(rows[0]!.count), unit: '' },
  };
}

/** The profile at full speed next to the bare loop with its batch size and connections. */
async function compareWithBareLoop(
  { database, figures, rounds }: Bench,
  name: string,
  { batchSize, numWorkers }: LedgerProfile,
): Promise<void> {
  const rows = roundRows(batchSize, numWorkers);
  const options = roomFor(batchSize, numWorkers);
  const ledger = await createBenchLedger(database.url, 'small', options);
  const bare = await BareLoop.open(database.url, 'small', numWorkers);
  const messages = bare.prepare(rows, batchSize);
  const turn = (contender: string, work: () => Promise<void>) => async (isCounted: boolean) => {
    await database.clear('small');
    const { ms } = await measure(work);
    await database.check('small', rows);
    const key = { group: 'profiles at full speed', contender, setting: name };
    if (isCounted) figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (rows * 1000) / ms);
  };
  await takeTurns(rounds, [
    turn('ledger', () => ledger.pump(rows)),
    turn('bare loop', () => bare.run(messages)),
  ]);
  await ledger.close();
  await bare.close();
}
