import { type INestApplicationContext, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  defineLedger,
  LedgerHealthIndicator,
  LedgerModule,
  LedgerService,
  type UsageEntry,
} from 'nestjs-ledger';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runProgram } from '../../libs/ledger/src/cli/program.js';
import { FaultDatabase } from './support/fault-database.js';

const MEMO = 'secret-memo';
const ATTRIBUTE = 'secret-attribute';
const SCHEMA = 'sec"ret; DROP TABLE x; --';
const entry = (more: object = {}): UsageEntry => ({
  userId: 1,
  memo: MEMO,
  attributes: { key: ATTRIBUTE },
  ...more,
});

let database: FaultDatabase;
let spillDir: string;
const said: string[] = [];

beforeAll(async () => {
  spillDir = await mkdtemp(join(tmpdir(), 'nestjs-ledger-secrets-'));
  database = await FaultDatabase.start();
});
afterAll(async () => {
  await database?.dispose();
  await rm(spillDir, { recursive: true, force: true });
});

/** All possible output of a process. */
function listen(): () => void {
  const keep = (...args: unknown[]): boolean => {
    said.push(args.map((arg) => (typeof arg === 'string' ? arg : inspect(arg))).join(' '));
    return true;
  };
  const ways = ['log', 'info', 'warn', 'error', 'debug'] as const;
  const spies = [
    ...ways.map((way) => vi.spyOn(console, way).mockImplementation(keep)),
    vi.spyOn(process.stdout, 'write').mockImplementation(keep),
    vi.spyOn(process.stderr, 'write').mockImplementation(keep),
  ];
  return () => spies.forEach((spy) => spy.mockRestore());
}

async function start(url: string): Promise<INestApplicationContext> {
  @Module({
    imports: [
      LedgerModule.forRoot({
        ledger: defineLedger({ schema: SCHEMA }),
        connection: { url, logging: 'all', logger: 'simple-console', maxQueryExecutionTime: 1 },
        ...{ flushMs: 10, retryMinMs: 10, retryMaxMs: 50, shutdownTimeoutMs: 500, spillDir },
      }),
    ],
  })
  class SecretModule {}
  return NestFactory.createApplicationContext(SecretModule, {
    logger: ['verbose', 'debug', 'log'],
  });
}

async function tell(work: Promise<unknown>): Promise<void> {
  const error: unknown = await work.catch((reason: unknown) => reason);
  said.push(inspect(error, { depth: 10, showHidden: true }), JSON.stringify(error));
}

async function health(app: INestApplicationContext): Promise<void> {
  const indicator = app.get(LedgerHealthIndicator, { strict: false });
  said.push(JSON.stringify(await indicator.isHealthy('ledger')));
  said.push(JSON.stringify(app.get<LedgerService>(LedgerService).stats()));
}

describe('what a ledger says', () => {
  it('contains no password, memo or attribute for any failure and any logger', async () => {
    const { password } = new URL(database.url);
    const stop = listen();
    try {
      Logger.overrideLogger(['verbose', 'debug', 'log', 'warn', 'error', 'fatal']);
      const app = await start(database.url);
      const ledger = app.get<LedgerService>(LedgerService);
      await ledger.recordAndWait(entry());
      const quoted = `"${SCHEMA.replaceAll('"', '""')}"`;
      const T = `${quoted}.usage_entries`;
      await database.sql(`ALTER TABLE ${T} ADD CONSTRAINT mine CHECK (user_id <> 2)`);
      await tell(ledger.recordAndWait(entry({ userId: 2 })));
      const uuid = '01890a5d-ac96-774b-bcce-b302099a8057';
      await ledger.recordAndWait(entry({ uuid }));
      await tell(ledger.recordAndWait(entry({ uuid, promptTokens: 1 })));
      await tell(ledger.recordAndWait(entry({ userId: MEMO as never })));
      await database.sql(`ALTER TABLE ${T} RENAME TO gone`);
      await tell(ledger.recordAndWait(entry(), { timeoutMs: 300 }));
      await health(app);
      await database.sql(`ALTER TABLE ${quoted}.gone RENAME TO usage_entries`);
      await ledger.flush();
      await tell(ledger.listRecent({ userId: 1, cursor: MEMO }));
      await database.stop();
      await tell(ledger.recordAndWait(entry(), { timeoutMs: 300 }));
      await tell(ledger.summary());
      await health(app);
      await app.close();
      await database.restart();
      const wrong = new URL(database.url);
      wrong.password = 'secret-wrong';
      const locked = await start(wrong.href);
      await tell(
        locked.get<LedgerService>(LedgerService).recordAndWait(entry(), { timeoutMs: 300 }),
      );
      await health(locked);
      await locked.close();
      const output = { line: keepLine, warn: keepLine, progress: () => SILENT };
      const at = ['--database-url', database.url, '--connection-schema', SCHEMA];
      expect(await runProgram(['replay', '--from-table', ...at], output)).toBe(1);
      expect(await runProgram(['verify', ...at, '--files', spillDir], output)).toBe(0);
      expect(await runProgram(['verify', '--database-url', wrong.href], output)).toBe(2);
    } finally {
      stop();
      Logger.overrideLogger(false);
    }
    const text = said.join('\n');
    expect(text, 'TypeORM logs').toContain('SELECT version()');
    expect(text).toContain('check_violation (23514)');
    expect(text).toContain('undefined_table (42P01)');
    expect(text).toContain('the password of user "postgres" was refused (28P01)');
    for (const secret of [password, 'secret-wrong', MEMO, ATTRIBUTE]) {
      expect(
        said.filter((line) => line.includes(secret)).map((line) => line.slice(0, 400)),
      ).toEqual([]);
    }
  });
});

const keepLine = (line: string): void => void said.push(line);
const SILENT = { at: (): void => {}, end: (): void => {} };
