import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FaultDatabase } from './support/fault-database.js';
import { OutageApp } from './support/outage-app.js';

const MIB = 1_048_576;
/** Of the long outage. */
const ENTRIES = 2_000_000;
const TABLE = 'usage_entries';
const run = promisify(execFile);

let database: FaultDatabase;
let dir: string;
let app: OutageApp | undefined;

beforeAll(async () => {
  database = await FaultDatabase.start({ max_wal_size: '4GB' });
});
afterAll(() => database?.dispose());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-outage-'));
  await database.sql(`DROP TABLE IF EXISTS ${TABLE}, ${TABLE}_migrations CASCADE`);
});
afterEach(async () => {
  await app?.kill();
  await rm(dir, { recursive: true, force: true });
});

function start(settings: Record<string, string | number> = {}): Promise<OutageApp> {
  return OutageApp.start(database.url, {
    ...{ JOURNAL_DIR: dir, SPILL_DIR: join(dir, 'spill'), BUFFER_MAX_BYTES: 16 * MIB },
    ...{ BATCH_SIZE: 10_000, BUFFER_SIZE: 10_000, FLUSH_MS: 50, NUM_WORKERS: 1 },
    ...{ RETRY_MIN_MS: 50, RETRY_MAX_MS: 200, WRITE_TIMEOUT_MS: 20_000 },
    ...settings,
  });
}

/** Rows in the table, users in them, and rows that were written behind one of a later user. */
async function rowsInTable(): Promise<{ rows: number; users: number; late: number }> {
  const [found] = await database.sql<{ rows: number; users: number; late: number }>(
    `SELECT count(*)::int AS rows, count(DISTINCT user_id)::int AS users,
            (count(*) FILTER (WHERE user_id < before))::int AS late
       FROM (SELECT user_id, lag(user_id) OVER (ORDER BY ctid) AS before FROM ${TABLE}) AS entries`,
  );
  return found!;
}

const folders = (): Promise<string[]> => readdir(join(dir, 'default'));
const isWritten = ({ depth, inFlight }: { depth: number; inFlight: number }): boolean =>
  depth + inFlight === 0;

describe("an outage of the database with overflow 'disk'", () => {
  it(`keeps ${ENTRIES} entries in 16 MiB of memory, and writes all of them, oldest first`, async () => {
    app = await start();
    await database.kill();
    const { stats, moreMemory } = await app.record(1, ENTRIES);
    expect(stats).toMatchObject({ queued: ENTRIES, dropped: 0, written: 0 });
    expect(stats.saturation).toBeLessThan(1);
    expect(moreMemory).toBeLessThan(100 * MIB);
    await database.restart();
    const after = await app.until(isWritten);
    expect(after).toMatchObject({ written: ENTRIES, spilled: 0, deadLettered: 0 });
    expect(await rowsInTable()).toEqual({ rows: ENTRIES, users: ENTRIES, late: 0 });
    await app.close();
    expect(await folders()).toEqual([]);
  }, 240_000);

  it('loses none to a kill while what it had on disk is written', async () => {
    app = await start();
    await database.kill();
    await app.record(1, 300_000);
    await database.restart();
    await app.until(({ written }) => written > 20_000);
    await app.record(300_001, 100_000);
    // On a slow disk rows are on file a moment after their turn.
    const stats = await app.until(({ journal }) => journal!.unsyncedRows === 0);
    await app.kill();
    expect(stats).toMatchObject({ queued: 400_000, dropped: 0 });
    expect(stats.depth, 'it was killed in the middle').toBeGreaterThan(0);
    app = await start();
    while ((await folders()).some((name) => name.includes('adopted') || name === stats.run)) {
      await pause(100);
    }
    const { recovered } = await app.until(isWritten);
    expect(recovered).toBeGreaterThan(0);
    expect(await rowsInTable()).toMatchObject({ rows: 400_000, users: 400_000 });
  }, 120_000);

  it('drops and counts what comes at journalMaxBytes, and takes entries again once it drains', async () => {
    app = await start({ JOURNAL_MAX_BYTES: 64 * MIB });
    await database.kill();
    const full = (await app.record(1, 600_000)).stats;
    expect(full.dropped).toBeGreaterThan(0);
    expect(full.saturation).toBe(1);
    expect(full.journal!.bytes).toBeLessThanOrEqual(64 * MIB);
    expect(full.queued).toBeGreaterThan(200_000);
    await database.restart();
    const { written } = await app.until(isWritten);
    expect(written).toBe(full.queued);
    await app.until(({ saturation }) => saturation < 1);
    const { stats } = await app.record(1_000_001, 1000);
    expect(stats.dropped).toBe(full.dropped);
    await app.until(isWritten);
    expect((await rowsInTable()).users).toBe(full.queued + 1000);
    await app.close();
    expect(await folders()).toEqual([]);
  }, 120_000);
});

/** Mounts a small file system. @returns false where this process may not */
async function mountSmall(path: string): Promise<boolean> {
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=20m,mode=0700', 'ledger-journal', path]);
    return true;
  } catch {
    return false;
  }
}

describe('a file system that is full', () => {
  let isMounted = false;
  beforeEach(async () => {
    isMounted = await mountSmall(dir);
  });
  afterEach(async () => {
    await app?.kill();
    if (isMounted) await run('umount', [dir]);
  });

  it('is reported, loses nothing of what memory takes, holds nobody, and drains itself', async (context) => {
    context.skip(!isMounted, 'a file system can be mounted by root only');
    app = await start({ BUFFER_MAX_BYTES: 64 * MIB, BUFFER_SIZE: 200_000, BLOCK_TIMEOUT_MS: 200 });
    await database.kill();
    const { stats } = await app.record(1, 350_000);
    expect(stats).toMatchObject({ queued: 350_000, dropped: 0 });
    expect(stats.journal).toMatchObject({ state: 'degraded', reason: 'ENOSPC' });
    expect(app.output).toContain("the journal can't be written (ENOSPC)");
    expect(await app.wait(350_001)).toBe('LedgerWaitTimeoutError');
    await database.restart();
    await app.until(isWritten);
    expect(await rowsInTable()).toEqual({ rows: 350_001, users: 350_001, late: 0 });
    const healed = await app.until(({ journal }) => journal!.state !== 'degraded');
    expect(healed.journal!.reason).toBeNull();
    // The commit is more, and on a slow disk it may be there first.
    expect(await app.wait(400_000)).toMatch(/^(durable|written)$/);
    await app.until(isWritten);
    await app.close();
    expect(await folders()).toEqual([]);
  }, 120_000);
});
