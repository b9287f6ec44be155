import { rm } from 'node:fs/promises';
import type { RestartInput, RestartReport } from '../../processes/restart.process.js';
import { BareLoop } from '../../setup/bare-copy.js';
import { Child } from '../../setup/child.js';
import { tableOf } from '../../setup/entries.js';
import { takeTurns } from '../../setup/figures.js';
import { makeJournalDir } from '../../setup/memory-ledger.js';
import { measure, type Bench } from '../part.js';

const BATCH_SIZE = 5000;
const WORKERS = 2;
/** Each takes seconds, most of them for filling. */
const MOST_ROUNDS = 3;

/** Rows in the journal of a killed process, written by the next one, next to a COPY of as many. */
export async function measureRestart(bench: Bench): Promise<void> {
  const { database, figures, isQuick } = bench;
  const rows = isQuick ? 20_000 : 1_000_000;
  const bare = await BareLoop.open(database.url, 'small', WORKERS);
  const messages = bare.prepare(rows, BATCH_SIZE);
  const turn = (contender: string, work: () => Promise<number>) => async (isCounted: boolean) => {
    // A new process is measured, so it needs no warm-up.
    if (!isCounted) return;
    await database.clear('small');
    const ms = await work();
    await database.check('small', rows);
    const group = `${rows.toLocaleString('en-US')} rows after a restart`;
    const key = { group, contender, setting: '' };
    figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (rows * 1000) / ms);
  };
  await takeTurns(Math.min(bench.rounds, MOST_ROUNDS), [
    turn('journal of a killed process', () => recover(bench, rows)),
    turn('COPY of ready bytes', async () => (await measure(() => bare.run(messages))).ms),
  ]);
  await bare.close();
}

/** @returns milliseconds from the ledger's readiness to the last commit */
async function recover(bench: Bench, rows: number): Promise<number> {
  const journalDir = makeJournalDir();
  const { url } = bench.database;
  const input = { url, journalDir, rows, batchSize: BATCH_SIZE, numWorkers: WORKERS };
  try {
    await leaveRows(bench, { ...input, work: 'fill' });
    const child = new Child('restart', { ...input, work: 'drain' } satisfies RestartInput);
    const { ms, duplicates } = await child.next<RestartReport>();
    await child.end();
    if (duplicates > 0) throw new Error(`void round: ${duplicates} rows were in the table already`);
    return ms;
  } finally {
    await rm(journalDir, { recursive: true, force: true });
  }
}

/** Kills a process that has accepted this many rows, none of which is in the table. */
async function leaveRows({ database }: Bench, input: RestartInput): Promise<void> {
  const child = new Child('restart', input);
  await child.next();
  const { admin } = database;
  await admin.query(`BEGIN; LOCK TABLE ${tableOf('small')} IN SHARE MODE`);
  try {
    child.send({ mayBegin: true });
    await child.next();
    await child.kill();
    // These sessions have read whole batches, and would commit them after the lock is released.
    await admin.query(
      `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`,
    );
  } finally {
    await admin.query('ROLLBACK');
  }
}
