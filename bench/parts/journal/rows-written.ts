import { rm } from 'node:fs/promises';
import { createBenchLedger, roomFor } from '../../setup/bench-ledger.js';
import { takeTurns } from '../../setup/figures.js';
import { makeJournalDir } from '../../setup/memory-ledger.js';
import { measure, type Bench } from '../part.js';

const BATCH_SIZE = 5000;
const WORKERS = 2;

/** record() to committed, as fast as possible, with and without the journal. */
export async function measureRowsWritten(bench: Bench): Promise<void> {
  const { database, figures, isQuick, rounds } = bench;
  const rows = isQuick ? 20_000 : 300_000;
  const journalDir = makeJournalDir();
  const room = roomFor(BATCH_SIZE, WORKERS);
  const off = await createBenchLedger(database.url, 'small', room);
  const on = await createBenchLedger(database.url, 'small', { ...room, journalDir });
  const turn = (contender: string, work: () => Promise<void>) => async (isCounted: boolean) => {
    await database.clear('small');
    const { ms, cpuMs } = await measure(work);
    await database.check('small', rows);
    if (!isCounted) return;
    const key = { group: 'into PostgreSQL, 2 workers', contender, setting: '' };
    figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (rows * 1000) / ms);
    figures.add({ ...key, metric: 'CPU of Node', unit: 'µs/entry' }, (cpuMs * 1000) / rows);
  };
  await takeTurns(rounds, [
    turn('no journal', () => off.pump(rows)),
    turn('turn', () => on.pump(rows)),
  ]);
  await off.close();
  await on.close();
  await rm(journalDir, { recursive: true, force: true });
}
