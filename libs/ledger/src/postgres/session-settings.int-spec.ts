import { randomUUID } from 'node:crypto';
import { Test } from '@nestjs/testing';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { defineLedger, LedgerModule, LedgerService, type LedgerOptions } from '../index.js';

const url = inject('databaseUrl');
const schemas: string[] = [];

/**
 * Settings that an application's hook, a pooler or another user of the pool may have made in a
 * session before the ledger gets it.
 */
const SETTINGS = [
  "client_encoding = 'LATIN1'",
  "client_encoding = 'WIN1251'",
  "client_encoding = 'SQL_ASCII'",
  'quote_all_identifiers = on',
  'standard_conforming_strings = off',
  'array_nulls = off',
  'bytea_output = escape',
  "DateStyle = 'SQL, DMY'",
  "TimeZone = 'Asia/Kathmandu'",
  "search_path = ''",
  'default_transaction_isolation = serializable',
  'client_min_messages = debug5',
  'plan_cache_mode = force_generic_plan',
  'synchronous_commit = off',
  'lock_timeout = 1',
];

const DEFINITIONS = [
  ['COPY', {}, 'copy'],
  ['INSERT', {}, 'insert'],
  ['COPY into partitions', { partition: 'month' }, 'copy'],
  ['COPY beside rollups', { rollup: true }, 'copy'],
] as const;

const MODEL = 'é\\n\'ü"Ж\u{1F600}';
const CREATED_AT = new Date('2026-02-03T04:05:06.007Z');

afterAll(async () => {
  const client = new pg.Client(url);
  await client.connect();
  for (const schema of schemas) await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await client.end();
});

/** A pool whose sessions all begin with this setting. */
function poolOf(setting: string): { url: string; extra: object } {
  const verify = (client: pg.Client, done: (error?: Error) => void): void => {
    client.query(`SET ${setting}`).then(() => done(), done);
  };
  return { url, extra: { verify } };
}

/** Writes an entry, a duplicate and a conflict, and reads; then queries the server itself. */
async function useLedger(
  definition: object,
  options: LedgerOptions,
): Promise<{ said: object; stored: unknown[]; law: boolean }> {
  const schema = `session_${randomUUID().slice(0, 8)}`;
  schemas.push(schema);
  const usage = defineLedger({ schema, columns: { model: 'text', meta: 'jsonb' }, ...definition });
  const module = await Test.createTestingModule({
    imports: [
      LedgerModule.forRoot({
        ledger: usage,
        ...{ migrations: 'run', connectAtBoot: true, flushMs: 5, retryMaxMs: 200 },
        ...options,
      }),
    ],
  }).compile();
  module.useLogger(false);
  await module.init();
  const ledger = module.get<LedgerService<typeof usage>>(LedgerService);
  const entry = {
    ...{ uuid: randomUUID(), createdAt: CREATED_AT, userId: 7, promptTokens: 7 },
    ...{ model: MODEL, meta: { note: MODEL } },
  };
  const outcomes = [];
  for (let i = 0; i < 2; i++) outcomes.push((await ledger.recordAndWait(entry)).outcome);
  const other = ledger.recordAndWait({ ...entry, model: 'other' });
  outcomes.push(await other.then(String, (error: { code: string }) => error.code));
  const { entries } = await ledger.listRecent({ userId: 7 });
  const { consumedTokens } = await ledger.summary({ userId: 7 });
  const { queued, written, duplicate, deadLettered, spilled, depth, inFlight } = ledger.stats();
  await module.close();
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query<{ model: string }>(
    `SELECT model, meta ->> 'note' AS note FROM ${schema}.usage_entries
     UNION ALL SELECT entry ->> 'model', entry -> 'meta' ->> 'note' FROM ${schema}.usage_entries_dead_letters`,
  );
  await client.end();
  return {
    said: { outcomes, consumedTokens, listed: entries.map(({ model }) => model) },
    stored: rows,
    law: queued === written + duplicate + deadLettered + spilled + depth + inFlight,
  };
}

const EXPECTED = {
  said: {
    outcomes: ['written', 'duplicate', 'LEDGER_DEAD_LETTERED'],
    consumedTokens: 7,
    listed: [MODEL],
  },
  stored: [
    { model: MODEL, note: MODEL },
    { model: 'other', note: MODEL },
  ],
  law: true,
};

describe.each(DEFINITIONS)('%s', (_, definition, strategy) => {
  it.each(SETTINGS)(
    'stores and reads what was recorded where sessions have %s',
    async (setting) => {
      const options = { connection: poolOf(setting), strategy };
      expect(await useLedger(definition, options)).toEqual(EXPECTED);
    },
  );
});

describe("the application's DataSource", () => {
  it.each(SETTINGS.slice(0, 4))('has its text stored as recorded with %s', async (setting) => {
    const options = { type: 'postgres', poolSize: 3, ...poolOf(setting) } as const;
    const dataSource = await new DataSource(options).initialize();
    try {
      expect(await useLedger({}, { dataSource })).toEqual(EXPECTED);
      const [row] = await dataSource.query<[object]>(`SHOW ${setting.split(' ')[0]!}`);
      // The application's own session is unchanged.
      expect(setting).toContain(Object.values(row)[0]);
    } finally {
      await dataSource.destroy();
    }
  });
});
