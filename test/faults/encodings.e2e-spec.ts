import type { INestApplicationContext } from '@nestjs/common';
import type { LedgerOptions, LedgerService, UsageEntry } from 'nestjs-ledger';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { doctor } from '../../libs/ledger/src/cli/doctor.command.js';
import { replay } from '../../libs/ledger/src/cli/replay.command.js';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { FaultDatabase } from './support/fault-database.js';
import { startLedgerModule } from './support/ledger-module.js';
import { QUIET } from './support/nothing-lost.js';

let database: FaultDatabase;
let app: INestApplicationContext | undefined;
let url: string;
let number = 0;

beforeAll(async () => {
  database = await FaultDatabase.start();
});
afterAll(() => database?.dispose());
afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function startIn(encoding: string, options: LedgerOptions = {}): Promise<LedgerService> {
  const name = `encoded_${++number}`;
  await database.sql(
    `CREATE DATABASE ${name} ENCODING '${encoding}' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0`,
  );
  const address = new URL(database.url);
  address.pathname = `/${name}`;
  url = address.href;
  await query('CREATE SCHEMA texts');
  const started = await startLedgerModule('texts', {
    ...{ connection: { url }, batchSize: 500, flushMs: 20, retryMinMs: 20, retryMaxMs: 300 },
    ...options,
  });
  app = started.app;
  return started.ledger;
}

async function query<T extends pg.QueryResultRow>(sql: string): Promise<T[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<T>(sql)).rows;
  } finally {
    await client.end();
  }
}

const plain: UsageEntry = { userId: 1, memo: 'plain' };

describe('entries that the encoding of the database cannot hold', () => {
  it.each<[string, UsageEntry, LedgerOptions]>([
    ['LATIN1', { userId: 2, memo: 'hand \u{1f44b}' }, {}],
    ['LATIN1', { userId: 2, memo: 'hand \u{1f44b}' }, { strategy: 'insert' }],
    ['LATIN1', { userId: 2, memo: 'a', attributes: { t: '日本', list: ['ж'] } }, {}],
    ['WIN1252', { userId: 2, memo: 'Łódź' }, { numWorkers: 1, batchSize: 7 }],
    ['EUC_JP', { userId: 2, memo: 'naïve \u{1f44b} \\u0041 "quoted"' }, {}],
    ['EUC_JP', { userId: 2, attributes: { 'k\u{1f44b}': null } }, { strategy: 'insert' }],
  ])(
    'become dead letters in %s, and keep no other back: %j, %j',
    async (encoding, bad, options) => {
      const ledger = await startIn(encoding, options);
      for (let i = 0; i < 30; i++) ledger.record(bad);
      for (let i = 0; i < 50; i++) ledger.record(plain);
      await ledger.flush({ timeoutMs: 10_000 });
      expect(ledger.stats()).toMatchObject({ written: 50, deadLettered: 30, state: 'running' });
      assertConservation(ledger.stats());
      const letters = await query<{ n: number; reason: string; sql_state: string }>(
        `SELECT count(*)::int AS n, reason, sql_state FROM texts.usage_entries_dead_letters GROUP BY 2, 3`,
      );
      expect(letters).toEqual([
        { n: 30, reason: 'refused', sql_state: expect.stringMatching(/^22/) },
      ]);
      await expectReplayed(bad);
    },
  );

  it('are kept as they are by SQL_ASCII, which checks nothing', async () => {
    const ledger = await startIn('SQL_ASCII');
    for (let i = 0; i < 30; i++) ledger.record({ userId: 2, memo: '\u{1f44b}' });
    await ledger.flush({ timeoutMs: 10_000 });
    expect(ledger.stats()).toMatchObject({ written: 30, deadLettered: 0, state: 'running' });
  });

  it('are named by doctor before they come', async () => {
    await startIn('LATIN1');
    const lines = await doctor({
      databaseUrl: url,
      connectionSchema: 'texts',
      instances: 1,
    });
    expect(lines).toContainEqual(
      expect.objectContaining({
        check: 'encoding',
        status: 'warning',
        message: expect.stringContaining('LATIN1'),
      }),
    );
  });
});

/** The letters, moved to a database that holds their text, give back the entry as it was recorded. */
async function expectReplayed(bad: UsageEntry): Promise<void> {
  await app!.close();
  app = undefined;
  const letters = await query<{ letter: string }>(
    'SELECT to_jsonb(l)::text AS letter FROM texts.usage_entries_dead_letters l',
  );
  await startIn('UTF8');
  const client = new pg.Client(url);
  await client.connect();
  try {
    for (const { letter } of letters) {
      await client.query(
        `INSERT INTO texts.usage_entries_dead_letters
         SELECT * FROM jsonb_populate_record(NULL::texts.usage_entries_dead_letters, $1::jsonb)`,
        [letter],
      );
    }
  } finally {
    await client.end();
  }
  const at = { databaseUrl: url, connectionSchema: 'texts' };
  expect(await replay(undefined, { ...at, fromTable: true }, QUIET)).toBe(0);
  const rows = await query<{ n: number; memo: string | null; attributes: unknown }>(
    'SELECT count(*)::int AS n, memo, attributes FROM texts.usage_entries GROUP BY 2, 3',
  );
  expect(rows).toEqual([{ n: 30, memo: bad.memo ?? null, attributes: bad.attributes ?? null }]);
}
