import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verify } from '../../libs/ledger/src/cli/verify.command.js';
import type { LedgerStats } from '../../libs/ledger/src/ports/ledger-stats.interface.js';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { buildIfStale } from '../support/example-app.js';
import { FaultDatabase } from './support/fault-database.js';
import { HttpApp } from './support/http-app.js';
import { QUIET } from './support/nothing-lost.js';
import { NumberedRequests } from './support/numbered-requests.js';
import { Seed } from './support/seed.js';

const SOAK = process.env['LEDGER_SOAK'];
/** Of one adapter in one mode. */
const ANSWERED = SOAK ? 5_000 : 1_500;
/** Between two kills at least, and at most. */
const ROUND: readonly [number, number] = SOAK ? [500, 2_500] : [300, 900];

const seed = Seed.print('journal-interceptor.e2e-spec.ts');

let database: FaultDatabase;
let dir: string;
let app: HttpApp | undefined;

beforeAll(async () => {
  await buildIfStale();
  database = await FaultDatabase.start();
}, 120_000);
afterAll(() => database?.dispose());
beforeEach(async () => {
  await database.sql('DROP SCHEMA IF EXISTS journaled CASCADE');
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-'));
});
afterEach(async () => {
  await app?.end('SIGKILL');
  await rm(dir, { recursive: true, force: true });
});

async function start(adapter: string, mode: string): Promise<HttpApp & { port: number }> {
  const started = await HttpApp.start({
    ADAPTER: adapter,
    OVER: join(dir, 'over'),
    LEDGER_DATABASE_URL: database.url,
    LEDGER_ASYNC_JOURNAL_DIR: join(dir, 'journal'),
    LEDGER_ASYNC_JOURNAL_SYNC: mode,
    LEDGER_ASYNC_SPILL_DIR: join(dir, 'spill'),
    // So long that most entries of a round have only the journal when its process is killed.
    LEDGER_ASYNC_FLUSH_MS: '60000',
    LEDGER_ASYNC_BATCH_SIZE: '1000',
  });
  app = started;
  return started;
}

/** Sends requests to one process after another, each killed at a moment that is drawn. */
async function underKills(adapter: string, mode: string): Promise<Killed> {
  const requests = new NumberedRequests();
  for (let kills = 0; ; kills++) {
    if (requests.answered >= ANSWERED) return { requests, kills };
    const running = await start(adapter, mode);
    const until = requests.answered + seed.integer(...ROUND);
    await requests.send(running.port, () => {
      if (requests.answered >= until) void running.end('SIGKILL');
    });
    await running.end('SIGKILL');
  }
}

interface Killed {
  readonly requests: NumberedRequests;
  readonly kills: number;
}

/** Waits until a new process has written what the killed ones left, and stops it. */
async function recover(adapter: string, mode: string): Promise<LedgerStats> {
  const last = await start(adapter, mode);
  const stats = await last.until(async ({ run }) => {
    return (await foldersLeft()).every((name) => name === run);
  });
  await last.end('SIGTERM');
  expect(last.output).not.toMatch(/damaged|WARNING/);
  expect(await foldersLeft()).toEqual([]);
  return stats;
}

function foldersLeft(): Promise<string[]> {
  return readdir(join(dir, 'journal', 'default'));
}

async function rows(): Promise<Map<number, number>> {
  const found = await database.sql<{ n: number; rows: number }>(
    'SELECT user_id::int AS n, count(*)::int AS rows FROM journaled.usage_entries GROUP BY 1',
  );
  return new Map(found.map(({ n, rows: count }) => [n, count]));
}

/** Requests after whose end the process lived through one more turn; `slow`: while the disk was. */
async function outlived(): Promise<{ over: Set<number>; slow: Set<number> }> {
  const lines = (await readFile(join(dir, 'over'), 'utf8')).split('\n').filter(Boolean);
  const [late, inTime] = [true, false].map((is) => lines.filter((n) => n.startsWith('?') === is));
  return {
    over: new Set(inTime!.map(Number)),
    slow: new Set(late!.map((n) => Number(n.slice(1)))),
  };
}

describe('every answer with status 200 of a process that is killed', { timeout: 120_000 }, () => {
  it.each([
    ['fastify', 'turn'],
    ['fastify', 'entry'],
    ['fastify', 'power'],
    ['express', 'turn'],
    ['express', 'entry'],
    ['express', 'power'],
  ])('has its row after a restart, on %s with journalSync %s', async (adapter, mode) => {
    const { requests, kills } = await underKills(adapter, mode);
    const stats = await recover(adapter, mode);
    assertConservation(stats);
    expect(stats.recovered).toBeGreaterThan(0);

    const found = await rows();
    const { over, slow } = await outlived();
    const promised = requests.streamed.filter((number) => over.has(number));
    expect(requests.plain.filter((number) => !found.has(number))).toEqual([]);
    expect(promised.filter((number) => !found.has(number))).toEqual([]);
    // As much as one turn can end, of the connections that there are.
    const open = requests.streamed.filter((number) => !over.has(number) && !slow.has(number));
    expect(open.length).toBeLessThanOrEqual(32 * kills);
    expect([...found].filter(([, count]) => count > 1)).toEqual([]);
    const at = { databaseUrl: database.url, connectionSchema: 'journaled', files: [], grace: 0 };
    const { runs } = await verify(at, QUIET);
    expect(runs.filter(({ missing }) => missing > 0)).toEqual([]);
    expect(runs).toHaveLength(kills);
    process.stdout.write(
      `${adapter}, ${mode}: ${kills} kills, ${requests.plain.length} plain answers and ` +
        `${requests.streamed.length} streams, ${found.size} rows, lost 0, twice 0\n`,
    );
  });
});
