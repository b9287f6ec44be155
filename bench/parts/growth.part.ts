import { createBenchLedger, roomFor } from '../setup/bench-ledger.js';
import { tableOf } from '../setup/entries.js';
import { takeTurns } from '../setup/figures.js';
import { ServerCopy } from '../setup/server-copy.js';
import { measure, type Bench, type Part } from './part.js';

const LEVELS = [0, 1_000_000, 5_000_000, 10_000_000];
const FILL = 500_000;
const CONNECTIONS = 2;

/** The effect of a growing table on the ledger, and on the server's own COPY. */
export const growth: Part = {
  name: 'growth',
  title: 'A table that grows: rows/s and index size',
  async run(bench) {
    const { database, isQuick } = bench;
    await database.clear('small');
    const ledger = await createBenchLedger(database.url, 'small', roomFor(5000, CONNECTIONS));
    let held = 0;
    for (const level of isQuick ? [0, 50_000] : LEVELS) {
      held = await fill(bench, held, level);
      held = await compare(bench, ledger, { held, level });
    }
    await ledger.close();
    await database.clear('small');
  },
};

/** Fills the table to a size with the server's own COPY. @returns rows in it */
async function fill({ database }: Bench, held: number, level: number): Promise<number> {
  let rows = held;
  while (rows < level) {
    const part = Math.min(FILL, level - rows);
    const copy = await ServerCopy.open(database, 'small', { rows: part, connections: 2 });
    await copy.run();
    await copy.close();
    rows += part;
  }
  await database.admin.query(`VACUUM ANALYZE ${tableOf('small')}`);
  await database.admin.query('CHECKPOINT');
  return rows;
}

async function compare(
  bench: Bench,
  ledger: { pump(rows: number): Promise<void> },
  { held, level }: { held: number; level: number },
): Promise<number> {
  const { database, figures, rounds } = bench;
  const rows = bench.isQuick ? 20_000 : 100_000;
  let total = held;
  const setting = level;
  const group = `${CONNECTIONS} connections, batch 5,000`;
  const turn = (contender: string, work: () => Promise<void>) => async (isCounted: boolean) => {
    await database.admin.query('CHECKPOINT');
    const { ms } = await measure(work);
    total += rows;
    await database.check('small', total);
    const key = { group, contender, setting, metric: 'rows', unit: 'rows/s' };
    if (isCounted) figures.add(key, (rows * 1000) / ms);
  };
  // Separate rows for each turn, because nothing is cleared in between.
  let used = 0;
  const copies: ServerCopy[] = [];
  for (let i = 0; i <= rounds; i++) {
    copies.push(await ServerCopy.open(database, 'small', { rows, connections: CONNECTIONS }));
  }
  await takeTurns(rounds, [
    turn('ledger', () => ledger.pump(rows)),
    turn('server alone', () => copies[used++]!.run()),
  ]);
  for (const copy of copies) await copy.close();
  await addSizes(bench, group, setting);
  return total;
}

async function addSizes({ database, figures }: Bench, group: string, setting: number) {
  const { rows } = await database.admin.query<{ heap: string; indexes: string }>(
    `SELECT pg_table_size('${tableOf('small')}') AS heap,
            pg_indexes_size('${tableOf('small')}') AS indexes`,
  );
  const key = { group, contender: 'table', setting, unit: 'MiB' };
  figures.add({ ...key, metric: 'heap' }, Number(rows[0]!.heap) / 1_048_576);
  figures.add({ ...key, metric: 'indexes' }, Number(rows[0]!.indexes) / 1_048_576);
}
