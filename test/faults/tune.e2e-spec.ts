import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildIfStale } from '../support/example-app.js';
import { FaultDatabase } from './support/fault-database.js';
import { LedgerCommand } from './support/ledger-command.js';

const BUILD_LIMIT_MS = 240_000;
/** For a busy machine; nothing here waits for a time to pass. */
const WAIT = { timeout: 30_000, interval: 20 };
const CONNECTIONS = "application_name LIKE 'nestjs-ledger tune%'";
const TABLES_SQL = "SELECT relname FROM pg_class WHERE relname LIKE 'nestjs_ledger_tune%'";
/** A step is longer than the test may take: without the signal it would not end. */
const ARGS = ['tune', '--qps', '10', '--workers', '2', '--step', '600', '--json'];

let database: FaultDatabase;
let tune: LedgerCommand;

beforeAll(async () => {
  await buildIfStale();
  database = await FaultDatabase.start();
  tune = new LedgerCommand(tmpdir(), database.url);
}, BUILD_LIMIT_MS);
afterAll(() => database?.dispose());

async function connections(): Promise<{ state: string; query: string; wait: string | null }[]> {
  return database.sql(
    `SELECT state, query, wait_event_type AS wait FROM pg_stat_activity WHERE ${CONNECTIONS}`,
  );
}

async function expectNothingLeft(): Promise<void> {
  expect(await database.sql(TABLES_SQL)).toEqual([]);
  // The server notices a moment after the process has ended.
  await vi.waitFor(async () => expect(await connections()).toEqual([]), WAIT);
}

async function isWriting(): Promise<void> {
  expect(await connections()).toContainEqual(
    expect.objectContaining({ query: expect.stringContaining('COPY') }),
  );
}

describe('npx nestjs-ledger tune', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends at once on %s while it measures, and leaves nothing', async (signal, code) => {
    const { child, ended } = tune.start(...ARGS);
    try {
      await vi.waitFor(isWriting, WAIT);
      child.kill(signal);
      expect(await ended).toEqual({ code, text: 'error: interrupted: nothing is left behind\n' });
    } finally {
      child.kill('SIGKILL');
    }
    await expectNothingLeft();
  });

  it('breaks off a batch that the server holds up, instead of waiting for it', async () => {
    const other = database.client();
    await other.connect();
    const { child, ended } = tune.start(...ARGS);
    try {
      await vi.waitFor(isWriting, WAIT);
      const [{ relname } = { relname: '' }] = await database.sql<{ relname: string }>(TABLES_SQL);
      await other.query(`BEGIN; LOCK TABLE public."${relname}" IN SHARE MODE`);
      await vi.waitFor(async () => expect(await waiting()).toContain('COPY'), WAIT);
      child.kill('SIGINT');
      await vi.waitFor(async () => expect(await waiting()).toEqual(['DROP']), WAIT);
      await other.query('COMMIT');
      expect(await ended).toMatchObject({ code: 130 });
    } finally {
      child.kill('SIGKILL');
      await other.end();
    }
    await expectNothingLeft();
  });
});

/** First words of the statements that wait for a lock. */
async function waiting(): Promise<string[]> {
  const held = (await connections()).filter(({ wait }) => wait === 'Lock');
  return held.map(({ query }) => /COPY|DROP/.exec(query)?.[0] ?? query);
}
