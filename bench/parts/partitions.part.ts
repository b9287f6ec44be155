import { sessionOfClient } from '../../libs/ledger/src/postgres/fixtures/session-of-client.fixture.js';
import { createPartitions } from '../../libs/ledger/src/partitions/create-partitions.js';
import { periodAt, periodsBetween } from '../../libs/ledger/src/partitions/period.js';
import {
  detachPartitions,
  dropRetired,
} from '../../libs/ledger/src/partitions/retire-partitions.js';
import { rollupRetirement } from '../../libs/ledger/src/rollup/rollup-retirement.js';
import { createBenchLedger, roomFor, type BenchLedger } from '../setup/bench-ledger.js';
import { tableOf, type EntryKind } from '../setup/entries.js';
import { percentile, takeTurns } from '../setup/figures.js';
import { withoutIndexes } from '../setup/without-indexes.js';
import { measure, type Bench, type Part } from './part.js';

const FULL_ROWS = 10_000_000;
const QUICK_ROWS = 20_000;
/** The ledger's rows in one turn. */
const TURN_ROWS = { full: 100_000, quick: 10_000 };
/**
 * One turn takes 2 to 3 s; a checkpoint or other work on the machine sometimes takes a third of
 * that.
 */
const TURNS_A_ROUND = 3;
/** Months before the present one. A quick run spends most of its time creating them. */
const MONTHS = { full: 36, quick: 3 };
const CONNECTIONS = 2;
/** Each table keeps the rows of its turns: an empty one has no history. */
const KEPT = `${CONNECTIONS} connections, batch 5,000`;
/** Like on the first of a month: a turn begins with an empty month. */
const EMPTIED = `${KEPT}, the open month emptied before each turn`;
const NAMES = {
  without_rollups: 'plain table',
  partitioned: 'partitions',
  partitioned_empty: 'partitions, empty at first',
} as const;
type Kind = keyof typeof NAMES;
const KINDS = Object.keys(NAMES) as Kind[];

/**
 * A table of three years, plain and in months: the rate of writing, and dropping a month. None has
 * rollups, whose first refresh would slow all turns.
 */
export const partitions: Part = {
  name: 'partitions',
  title: 'Partitions: rows/s beside a plain table, and dropping a month',
  async run(bench) {
    const { database, isQuick, tableRows } = bench;
    for (const kind of KINDS) await database.clear(kind);
    const rows = tableRows ?? (isQuick ? QUICK_ROWS : FULL_ROWS);
    await makeMonths(bench);
    for (const kind of ['without_rollups', 'partitioned'] as const) await fill(bench, kind, rows);
    const ledgers = new Map<Kind, BenchLedger>();
    for (const kind of KINDS) {
      ledgers.set(kind, await createBenchLedger(database.url, kind, roomFor(5000, CONNECTIONS)));
    }
    await compare(bench, ledgers, { kinds: KINDS, group: KEPT, level: rows });
    await compare(bench, ledgers, { kinds: KINDS.slice(1), group: EMPTIED, level: rows });
    await dropMonths(bench, ledgers.get('partitioned')!);
    for (const kind of KINDS) {
      await ledgers.get(kind)!.close();
      await database.clear(kind);
    }
  },
};

interface Comparison {
  readonly kinds: readonly Kind[];
  readonly group: typeof KEPT | typeof EMPTIED;
  /** Rows of three years. */
  readonly level: number;
}

async function compare(
  { database, figures, isQuick, rounds }: Bench,
  ledgers: ReadonlyMap<Kind, BenchLedger>,
  { kinds, group, level }: Comparison,
): Promise<void> {
  const rows = isQuick ? TURN_ROWS.quick : TURN_ROWS.full;
  const turn = (kind: Kind) => async (isCounted: boolean) => {
    if (group === EMPTIED) await emptyOpenMonth(database, kind);
    await database.admin.query('CHECKPOINT');
    const { ms } = await measure(() => ledgers.get(kind)!.pump(rows));
    const key = { group, contender: NAMES[kind], setting: level };
    if (isCounted) figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (rows * 1000) / ms);
  };
  await takeTurns(isQuick ? rounds : rounds * TURNS_A_ROUND, kinds.map(turn));
}

/** Empties the partition of the newest entry. */
async function emptyOpenMonth({ admin }: Bench['database'], kind: Kind): Promise<void> {
  const newest = `SELECT tableoid::regclass AS name FROM ${tableOf(kind)} ORDER BY uuid DESC LIMIT 1`;
  const { rows } = await admin.query<{ name: string }>(newest);
  await admin.query(`TRUNCATE ${rows[0]!.name}`);
}

function firstMonth({ isQuick }: Bench): number {
  return periodAt('month', Date.now(), -(isQuick ? MONTHS.quick : MONTHS.full)).from;
}

async function makeMonths(bench: Bench): Promise<void> {
  const months = periodsBetween('month', firstMonth(bench), Date.now());
  await createPartitions(sessionOfClient(bench.database.admin), tableOf('partitioned'), months);
}

/** Rows of all months before the present one; their uuids are UUIDv7s of their time. */
async function fill(bench: Bench, kind: EntryKind, rows: number): Promise<void> {
  const { database } = bench;
  const end = periodAt('month', Date.now()).from;
  const { admin } = database;
  const insert = `INSERT INTO ${tableOf(kind)} (uuid, user_id, api_key_id, service_id, prompt_tokens,
       completion_tokens, direction, memo, created_at)
     SELECT (lpad(to_hex(ms), 12, '0') || '70008' || lpad(to_hex(n), 15, '0'))::uuid,
       1 + n * 7919 % 1000, 1 + n % 5000, 7, n % 4096, n % 1024, 'consume',
       'chat completion, eu-1', to_timestamp(ms / 1000.0)
     FROM (SELECT n, $1::bigint + n * ($2::bigint - $1::bigint) / $3::bigint AS ms
       FROM generate_series(0::bigint, $3::bigint - 1) n) s`;
  await withoutIndexes(admin, tableOf(kind), async () => {
    await admin.query(insert, [firstMonth(bench), end, rows]);
  });
  await database.admin.query('CHECKPOINT');
}

/** One month a round while the ledger writes at full speed, next to a round without a drop. */
async function dropMonths(bench: Bench, held: BenchLedger): Promise<void> {
  const { database, figures, isQuick, rounds } = bench;
  const rows = isQuick ? TURN_ROWS.quick : TURN_ROWS.full;
  const table = tableOf('partitioned');
  const { ledger } = held;
  let flushes: number[] = [];
  let dropped = 0;
  const stop = ledger.writer.onFlush((flush) => void flushes.push(flush.ms));
  const turn = (contender: string, work: () => Promise<void>) => async (isCounted: boolean) => {
    await database.admin.query('CHECKPOINT');
    flushes = [];
    const { ms } = await measure(async () => {
      await Promise.all([held.pump(rows), work()]);
    });
    if (!isCounted) return;
    const key = { group: 'dropping a month while writing', contender, setting: 1 };
    figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (rows * 1000) / ms);
    figures.add({ ...key, metric: 'longest flush', unit: 'ms' }, percentile(flushes, 1));
  };
  await takeTurns(rounds, [
    turn('no drop', () => Promise.resolve()),
    turn('a month dropped', async () => {
      const cutoff = periodAt('month', firstMonth(bench), ++dropped).from;
      const startedAt = performance.now();
      const retired =
        (await detachPartitions(sessionOfClient(bench.database.admin), table, cutoff, {
          hooks: rollupRetirement,
        })) ?? [];
      for (const one of retired) await dropRetired(sessionOfClient(bench.database.admin), one);
      const key = { group: 'dropping a month while writing', contender: 'the drop', setting: 1 };
      figures.add({ ...key, metric: 'took', unit: 'ms' }, performance.now() - startedAt);
      if (retired.length !== 1) throw new Error(`void round: ${retired.length} months dropped`);
    }),
  ]);
  stop();
}
