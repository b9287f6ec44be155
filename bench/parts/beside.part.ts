import { createBenchLedger, type BenchLedger } from '../setup/bench-ledger.js';
import { makeEntry, tableOf } from '../setup/entries.js';
import { percentile, takeTurns } from '../setup/figures.js';
import type { Bench, Part } from './part.js';

/** Concurrent reads, all for the same user. */
const READERS = 400;
/** Outside the users of `makeEntry`, so that it only has the filled rows. */
const LARGE_USER = 1_000_000;
const OPTIONS = { batchSize: 1000, flushMs: 100, numWorkers: 1, maxWaitingReads: READERS } as const;
const PER_SECOND = 5000;

/**
 * The effect of many reads of one large user on the writes of the same ledger, in one process and
 * one pool.
 */
export const beside: Part = {
  name: 'beside',
  title: `Writing beside ${READERS} reads of one large user`,
  async run(bench) {
    const ledger = await createBenchLedger(bench.database.url, 'small', OPTIONS);
    try {
      await fill(bench);
      await takeTurns(bench.rounds, [
        turn(bench, ledger, { contender: 'no reads', readers: 0 }),
        turn(bench, ledger, { contender: `${READERS} reads at once`, readers: READERS }),
      ]);
    } finally {
      await ledger.close();
      await bench.database.clear('small');
    }
  },
};

async function fill({ database, isQuick }: Bench): Promise<void> {
  await database.clear('small');
  const rows = isQuick ? 5_000 : 500_000;
  await database.admin.query(
    `INSERT INTO ${tableOf('small')}
       (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
     SELECT gen_random_uuid(), ${LARGE_USER}, 1, 1, 'consume', now() - n * interval '1 s'
     FROM generate_series(1, ${rows}) AS n`,
  );
  await database.admin.query(`VACUUM ANALYZE ${tableOf('small')}`);
}

interface Contender {
  readonly contender: string;
  readonly readers: number;
}

function turn(bench: Bench, ledger: BenchLedger, { contender, readers }: Contender) {
  return async (isCounted: boolean): Promise<void> => {
    const { figures, isQuick } = bench;
    const reading = keepReading(ledger, readers);
    const seconds = isQuick || !isCounted ? 0.5 : 4;
    const written = await write(ledger, seconds);
    const reads = await reading.end();
    if (!isCounted) return;
    const key = { group: 'one process, one pool', contender, setting: '' };
    const { lags, calls } = written;
    figures.add({ ...key, metric: 'lag p50', unit: 'ms' }, percentile(lags, 0.5));
    figures.add({ ...key, metric: 'lag p99', unit: 'ms' }, percentile(lags, 0.99));
    figures.add({ ...key, metric: 'record() p99', unit: 'µs' }, percentile(calls, 0.99) * 1000);
    figures.add({ ...key, metric: 'reads', unit: 'reads/s' }, reads / seconds);
  };
}

/** Milliseconds each. */
interface Written {
  /** From `record()` to the answer of the commit. */
  readonly lags: readonly number[];
  /** Of one call of `record()`. */
  readonly calls: readonly number[];
}

/**
 * Records at an even rate, independent of the loop's other work. @throws Error if an entry was lost
 */
async function write({ ledger }: BenchLedger, seconds: number): Promise<Written> {
  const { intake, counters, writer } = ledger;
  const calls: number[] = [];
  const lags: number[] = [];
  // In the order of the channel, which a single worker keeps.
  const waiting: { position: number; at: number }[] = [];
  const stopListening = writer.onFlush(() => {
    const now = performance.now();
    while (waiting[0] && waiting[0].position <= counters.written) {
      lags.push(now - waiting.shift()!.at);
    }
  });
  const startedAt = performance.now();
  for (let i = 0; i < seconds * PER_SECOND;) {
    const due = Math.ceil(((performance.now() - startedAt) * PER_SECOND) / 1000);
    for (; i < Math.min(due, seconds * PER_SECOND); i++) {
      const at = performance.now();
      const outcome = intake.offer(makeEntry('small', i));
      calls.push(performance.now() - at);
      if (outcome !== 'queued') throw new Error(`void turn: an entry was ${outcome}`);
      waiting.push({ position: counters.queued, at });
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await writer.flush(60_000);
  stopListening();
  if (waiting.length > 0) throw new Error('void turn: entries were not written');
  return { lags, calls };
}

/** Each reader asks again after each answer. A failed read ends the run. */
function keepReading({ reader }: BenchLedger, readers: number): { end: () => Promise<number> } {
  let isOver = false;
  let reads = 0;
  const ask = async (): Promise<void> => {
    while (!isOver) {
      await reader.listRecent({ userId: LARGE_USER });
      if (!isOver) reads++;
    }
  };
  const all = Promise.all(Array.from({ length: readers }, ask));
  // Handled when it is awaited at the end of the turn.
  all.catch(() => undefined);
  return {
    end: async () => {
      isOver = true;
      await all;
      return reads;
    },
  };
}
