import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { FaultApp } from './support/fault-app.js';
import { FaultDatabase } from './support/fault-database.js';
import { expectNothingLost } from './support/nothing-lost.js';
import { PG_BOUNCER, PgBouncer } from './support/pg-bouncer.js';
import { waitUntil } from './support/replica.js';

const LOAD = 1000;
/** Committed by the primary alone, at least. */
const LOST = 500;
/**
 * Longer than the pause between two questions about the server, and shorter than an attempt: a
 * question waits for its answer when the server dies.
 */
const FROZEN_MS = 1200;

/** What a test has started, ended in reverse order. */
const started: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of started.splice(0).reverse()) await end();
});

/** A primary with an asynchronous standby, and the address under which an application knows them. */
interface Pair {
  readonly primary: FaultDatabase;
  readonly standby: FaultDatabase;
  readonly address: string;
  /** The primary dies, and the standby takes its place. */
  failOver(): Promise<void>;
}

async function startPair(way: 'directly' | 'through PgBouncer'): Promise<Pair> {
  const primary = await FaultDatabase.start();
  started.push(() => primary.dispose());
  const standby = await primary.startStandby();
  started.push(() => standby.dispose());
  const promote = async (): Promise<void> => {
    await primary.kill();
    await standby.promote();
  };
  if (way === 'directly') {
    const { username, password, host } = new URL(primary.url);
    const hosts = `${host},127.0.0.1:${standby.port}`;
    const address = `postgres://${username}:${password}@${hosts}/postgres?target_session_attrs=read-write`;
    return { primary, standby, address, failOver: promote };
  }
  const bouncer = await PgBouncer.start(primary.url, 5);
  started.push(() => bouncer.dispose());
  const failOver = async (): Promise<void> => {
    await promote();
    await bouncer.leadTo(standby.url);
  };
  return { primary, standby, address: bouncer.url, failOver };
}

async function startApp(address: string, journalDir: string): Promise<FaultApp> {
  const settings = { JOURNAL_DIR: journalDir, JOURNAL_KEEP_MS: 600_000 };
  const app = await FaultApp.start(address, settings);
  started.push(() => app.dispose());
  return app;
}

async function makeJournalDir(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-kept-'));
  started.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function countOn(server: FaultDatabase): Promise<number> {
  const count = 'SELECT count(*)::int AS count FROM faults.usage_entries';
  return (await server.sql<{ count: number }>(count))[0]!.count;
}

/** Lets the primary commit what the standby never gets. @returns rows of the standby */
async function loseRows({ standby }: Pair, app: FaultApp): Promise<number> {
  app.load(LOAD);
  await app.until(({ written }) => written > LOST);
  await standby.cutOff();
  const { written } = await app.report();
  await app.until((stats) => stats.written > written + LOST);
  return countOn(standby);
}

describe.each(['directly', 'through PgBouncer'] as const)('a standby is promoted, %s', (way) => {
  const isSkipped = way === 'through PgBouncer' && PG_BOUNCER === undefined;

  it.skipIf(isSkipped).each(['dies', 'freezes and dies'])(
    'while the application runs: what only the old primary had is written again (it %s)',
    { timeout: 240_000 },
    async (death) => {
      const pair = await startPair(way);
      const app = await startApp(pair.address, await makeJournalDir());
      const before = await loseRows(pair, app);
      const { written } = await app.report();
      if (death !== 'dies') {
        await pair.primary.freeze();
        await delay(FROZEN_MS);
      }
      await pair.failOver();
      await app.until((stats) => stats.written > written + LOST);
      app.pause();
      const { queued } = await app.report();
      await waitUntil(
        () => `is every entry there?\n${app.output}`,
        async () => (await countOn(pair.standby)) === queued,
      );
      expect(app.output).not.toContain('journalKeepMs has no effect');
      const stats = await app.settled();
      expect(stats).toMatchObject({ dropped: 0, deadLettered: 0, spilled: 0 });
      expect(stats.written + stats.duplicate).toBe(stats.queued + stats.recovered);
      await expectNothingLost(pair.standby, [app]);
      report(way, 'running', { written, before, queued });
    },
  );

  it.skipIf(isSkipped)(
    'while the application is away, killed: the next start writes it again',
    { timeout: 240_000 },
    async () => {
      const pair = await startPair(way);
      const journalDir = await makeJournalDir();
      const killed = await startApp(pair.address, journalDir);
      const before = await loseRows(pair, killed);
      const { written, queued } = await killed.report();
      // Entries of a turn are on file after it, and on a slow disk later.
      await killed.until((stats) => stats.queued - stats.journal!.unsyncedRows >= queued);
      await killed.end('SIGKILL');
      await pair.failOver();
      const next = await startApp(pair.address, journalDir);
      await next.until((stats) => stats.recovered >= queued);
      await next.settled();
      await expectNothingLost(pair.standby, [killed, next]);
      report(way, 'killed', { written, before, queued });
    },
  );
});

function report(
  way: string,
  application: string,
  { written, before, queued }: { written: number; before: number; queued: number },
): void {
  expect(written - before).toBeGreaterThanOrEqual(LOST / 2);
  process.stdout.write(
    `promotion ${way}, application ${application}: ${queued} entries, ` +
      `${written - before} committed ones were lost and are back\n`,
  );
}
