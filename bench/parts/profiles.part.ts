import pg from 'pg';
import {
  LEDGER_PROFILES,
  type LedgerProfile,
} from '../../libs/ledger/src/config/ledger-profiles.js';
import type { LedgerOptions } from '../../libs/ledger/src/config/ledger-options.interface.js';
import { BareLoop } from '../setup/bare-copy.js';
import { createBenchLedger, roomFor } from '../setup/bench-ledger.js';
import { tableOf } from '../setup/entries.js';
import { median, percentile, takeTurns } from '../setup/figures.js';
import { Writer, type Probe } from '../setup/writer.js';
import { measure, type Bench, type Part } from './part.js';

/** Top of each row of the guide's table, in requests a second. */
const TOPS: Readonly<Record<string, number>> = {
  low: 100,
  medium: 1000,
  high: 10_000,
  'very-high': 100_000,
  ultra: 1_000_000,
};
const SHARES = [0.1, 0.5, 0.8];
const LAG_OPTIONS = { batchSize: 2000, numWorkers: 2, bufferSize: 200_000, flushMs: 200 };
const LOOK_EVERY_MS = 5;
const LONGEST_LOOK_MS = 30_000;

/** The guide's profiles at the rates they are for, and the lag at shares of the capacity. */
export const profiles: Part = {
  name: 'profiles',
  title: "The guide's profiles: lag, losses, throughput",
  async run(bench) {
    const capacity = await measureCapacity(bench, roomFor(5000, 2));
    for (const [name, profile] of Object.entries(LEDGER_PROFILES)) {
      const wanted = TOPS[name]!;
      // A rate that the server can't hold would only show the channel filling up.
      const rate = Math.min(wanted, Math.floor((capacity * 0.8) / 1000) * 1000);
      if (rate < wanted) {
        const reached = `${rate} of ${wanted} requests/s: 80 % of what this machine takes`;
        bench.figures.notes.push(`profile ${name} at ${reached}`);
      }
      await lagAt(bench, { group: 'profiles', setting: name, rate, options: profile });
      if (!bench.isQuick) await compareWithBareLoop(bench, name, profile);
    }
    const own = await measureCapacity(bench, LAG_OPTIONS);
    for (const share of bench.isQuick ? [0.5] : SHARES) {
      const setting = `${share * 100} % of capacity`;
      const rate = Math.round(own * share);
      const group = 'batch 2,000, 2 workers, flush 200 ms';
      await lagAt(bench, { group, setting, rate, options: LAG_OPTIONS });
    }
  },
};

/** Entries a second that a writer of these settings takes for good: what lag is measured at shares of. */
async function measureCapacity(
  { database, isQuick }: Bench,
  options: LedgerOptions,
): Promise<number> {
  const entries = isQuick ? 20_000 : 300_000;
  const rounds = isQuick ? 1 : 4;
  const writer = await Writer.start({ url: database.url, kind: 'small', options });
  const rates: number[] = [];
  // The first round is the compiler's.
  for (let round = 0; round < rounds; round++) {
    await database.clear('small');
    const { ms, written } = await writer.run({ entries, perSecond: 0 });
    if (round > 0 || isQuick) rates.push((written * 1000) / ms);
  }
  await writer.end();
  return median(rates);
}

interface LagRun {
  readonly group: string;
  readonly setting: string;
  readonly rate: number;
  readonly options: Omit<LedgerProfile, 'bufferMaxBytes'>;
}

/** Lag from record() to visible, as another connection sees it. */
async function lagAt(bench: Bench, { group, setting, rate, options }: LagRun): Promise<void> {
  const { database, figures, isQuick } = bench;
  await database.clear('small');
  const seconds = isQuick ? 1 : Math.max(4, (3 * options.flushMs) / 1000);
  const writer = await Writer.start({ url: database.url, kind: 'small', options });
  const watch = new ProbeWatch();
  const looking = watch.look(database.url);
  const order = { entries: Math.round(rate * seconds), perSecond: rate };
  const report = await writer.run(order, (probe) => watch.add(probe));
  const lags = await watch.finish(looking);
  const { rows } = await database.admin.query<{ count: string }>(
    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'nestjs-ledger%'",
  );
  await writer.end();
  await database.check('small', report.written);
  const flush = median(report.flushes);
  const key = { group, setting, contender: `ledger at ${rate.toLocaleString('en-US')}/s` };
  figures.add({ ...key, metric: 'lag p50', unit: 'ms' }, percentile(lags, 0.5));
  figures.add({ ...key, metric: 'lag p99', unit: 'ms' }, percentile(lags, 0.99));
  const bound = options.flushMs + 2 * flush;
  figures.add({ ...key, metric: 'bound: flushMs + two flushes', unit: 'ms' }, bound);
  figures.add({ ...key, metric: 'flush p50', unit: 'ms' }, flush);
  figures.add({ ...key, metric: 'flush p99', unit: 'ms' }, percentile(report.flushes, 0.99));
  figures.add({ ...key, metric: 'dropped', unit: 'entries' }, report.dropped);
  figures.add({ ...key, metric: 'connections', unit: '' }, Number(rows[0]!.count));
}

/** Looks which probes are visible, again and again. */
class ProbeWatch {
  readonly #waiting = new Map<string, number>();
  readonly #lags: number[] = [];
  #isOver = false;

  add({ uuid, at }: Probe): void {
    this.#waiting.set(uuid, at);
  }

  async look(url: string): Promise<void> {
    const client = new pg.Client(url);
    await client.connect();
    const sql = `SELECT uuid FROM ${tableOf('small')} WHERE uuid = ANY($1::uuid[])`;
    const giveUpAt = performance.now() + 2 * LONGEST_LOOK_MS;
    while (!this.#isOver || this.#waiting.size > 0) {
      if (performance.now() > giveUpAt) throw new Error('a probe never became visible');
      const asked = [...this.#waiting.keys()];
      const { rows } = await client.query<{ uuid: string }>(sql, [asked]);
      const now = Date.now();
      for (const { uuid } of rows) {
        this.#lags.push(now - this.#waiting.get(uuid)!);
        this.#waiting.delete(uuid);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    await client.end();
  }

  async finish(looking: Promise<void>): Promise<number[]> {
    this.#isOver = true;
    await looking;
    return this.#lags;
  }
}

/** The profile at full speed beside the bare loop with its batch size and connections. */
async function compareWithBareLoop(
  { database, figures, rounds }: Bench,
  name: string,
  { batchSize, numWorkers }: LedgerProfile,
): Promise<void> {
  const rows = Math.max(batchSize <= 100 ? 30_000 : 100_000, batchSize * numWorkers);
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
