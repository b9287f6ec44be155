import { randomUUID } from 'node:crypto';
import { Test } from '@nestjs/testing';
import {
  defineLedger,
  LedgerModule,
  LedgerService,
  type LedgerOptions,
  isLedgerError,
} from 'nestjs-ledger';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { PG_BOUNCER, PgBouncer } from './faults/support/pg-bouncer.js';
import { HAS_POSTGRES_15, startDebianPostgres } from './support/debian-postgres.js';
import type { DebianPostgres } from './support/debian-postgres.js';

const SERVERS = ['PostgreSQL 18', 'PostgreSQL 15'] as const;
const WAYS = ['direct', 'PgBouncer in transaction mode'] as const;
const ROLES = ['owner', 'writer', 'writer under row-level security'] as const;
const PASSWORD = 'secret';
/** For a busy machine; nothing here waits for a time to pass. */
const WAIT = { timeout: 30_000, interval: 20 };
/** The user that the policy forbids. */
const FORBIDDEN = 3;

describe.each(SERVERS)('%s', (server) => {
  const isMissing = server === 'PostgreSQL 15' && !HAS_POSTGRES_15;
  const suffix = randomUUID().slice(0, 8);
  const database = `servers_${suffix}`;
  const [owner, writer] = [`owner_${suffix}`, `writer_${suffix}`];
  let debian: DebianPostgres | undefined;
  let root: pg.Client;
  let admin: pg.Client;
  let url: URL;

  beforeEach(({ skip }) => skip(isMissing, 'postgresql-15 is not installed'));
  beforeAll(async () => {
    if (isMissing) return;
    if (server === 'PostgreSQL 15') debian = await startDebianPostgres();
    url = new URL(debian?.url ?? inject('databaseUrl'));
    root = new pg.Client({ connectionString: url.href });
    await root.connect();
    const version = await root.query<{ server_version: string }>('SHOW server_version');
    expect(`PostgreSQL ${version.rows[0]?.server_version}`).toContain(server);
    await root.query(`CREATE DATABASE ${database}`);
    url.pathname = database;
    admin = new pg.Client({ connectionString: url.href });
    await admin.connect();
    for (const role of [owner, writer]) {
      await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'`);
    }
  });
  afterAll(async () => {
    if (isMissing) return;
    await admin.end();
    await root.query(`DROP DATABASE ${database} WITH (FORCE)`);
    await root.query(`DROP ROLE ${owner}, ${writer}`);
    await root.end();
    await debian?.stop();
  });

  /** The server's address, or another's in front of it, for a role. */
  function urlAs(role: string, address: string): string {
    const as = new URL(address);
    as.username = role;
    as.password = PASSWORD;
    return as.href;
  }

  /** A schema of the owner's, with the ledger's tables and a writer's rights on them. */
  async function makeTables(): Promise<string> {
    const schema = `s_${randomUUID().slice(0, 8)}`;
    await admin.query(`CREATE SCHEMA ${schema} AUTHORIZATION ${owner}`);
    const connection = { url: urlAs(owner, url.href) };
    await withLedger(schema, { connection, connectAtBoot: true }, () => Promise.resolve());
    await admin.query(`GRANT USAGE ON SCHEMA ${schema} TO ${writer}`);
    const tables = ['usage_entries', 'usage_entries_dead_letters'].map((t) => `${schema}.${t}`);
    await admin.query(`GRANT INSERT, SELECT ON ${tables.join(', ')} TO ${writer}`);
    return schema;
  }

  describe.each(WAYS)('%s', (way) => {
    const isDirect = way === 'direct';
    let bouncer: PgBouncer | undefined;
    beforeEach(({ skip }) => skip(!isDirect && !PG_BOUNCER, 'pgbouncer is not installed'));
    beforeAll(async () => {
      if (isDirect || isMissing || !PG_BOUNCER) return;
      const users = { [owner]: PASSWORD, [writer]: PASSWORD };
      bouncer = await PgBouncer.start(url.href, 4, users);
    });
    afterAll(() => bouncer?.dispose());
    const address = (role: string): string => urlAs(role, bouncer?.url ?? url.href);

    it.each(ROLES)('as %s: writes, skips what is there, keeps conflicts, reads', async (role) => {
      const schema = await makeTables();
      if (role === 'writer under row-level security') {
        await admin.query(`ALTER TABLE ${schema}.usage_entries ENABLE ROW LEVEL SECURITY;
          CREATE POLICY own ON ${schema}.usage_entries TO ${writer}
            USING (true) WITH CHECK (user_id <> ${FORBIDDEN})`);
      }
      const connection = { url: address(role === 'owner' ? owner : writer) };
      const migrations = role === 'owner' ? 'run' : 'verify';
      await withLedger(schema, { connection, migrations }, async (ledger) => {
        const uuid = '019b0000-0000-7000-8000-000000000001';
        const entry = { userId: 7, uuid, promptTokens: 3, createdAt: new Date() };
        expect(await ledger.recordAndWait(entry)).toMatchObject({ outcome: 'written' });
        // The same batch holds a new entry, so that the way that skips what is there writes too.
        const again = [
          ledger.recordAndWait(entry),
          ledger.recordAndWait({ userId: 7, promptTokens: 4 }),
        ];
        const outcomes = (await Promise.all(again)).map(({ outcome }) => outcome);
        expect(outcomes).toEqual(['duplicate', 'written']);
        const conflict = await refusalOf(ledger.recordAndWait({ ...entry, promptTokens: 5 }));
        expect(conflict).toMatchObject({ reason: 'conflict' });
        expect(await ledger.summary({ userId: 7 })).toMatchObject({
          consumedTokens: 7,
          entries: 2,
        });
        expect((await ledger.listRecent({ userId: 7 })).entries).toHaveLength(2);
        if (role === 'writer under row-level security') {
          const refused = await refusalOf(ledger.recordAndWait({ userId: FORBIDDEN }));
          expect(refused).toMatchObject({ sqlState: '42501' });
        }
        expect(ledger.stats()).toMatchObject({ state: 'running', depth: 0, inFlight: 0 });
      });
    });

    it('without the right to create tables: says so, and begins once they are there', async () => {
      const schema = `s_${randomUUID().slice(0, 8)}`;
      await admin.query(`CREATE SCHEMA ${schema}; GRANT USAGE ON SCHEMA ${schema} TO ${writer}`);
      const connection = { url: address(writer) };
      const options: LedgerOptions = { connection, migrations: 'run', retryMaxMs: 200 };
      await withLedger(schema, options, async (ledger) => {
        const waiting = ledger.recordAndWait({ userId: 7 });
        await vi.waitFor(() => {
          expect(ledger.stats()).toMatchObject({
            state: 'halted',
            reason: expect.stringContaining('the role may not run the migrations'),
          });
        }, WAIT);
        await admin.query(`GRANT CREATE ON SCHEMA ${schema} TO ${writer}`);
        expect(await waiting).toMatchObject({ outcome: 'written' });
      });
    });

    it('without the right to make temporary tables: the same uuid again is a duplicate', async () => {
      const schema = await makeTables();
      await admin.query(`REVOKE TEMPORARY ON DATABASE ${database} FROM PUBLIC`);
      const connection = { url: address(writer) };
      const options: LedgerOptions = { connection, migrations: 'verify', retryMaxMs: 200 };
      try {
        await withLedger(schema, options, async (ledger) => {
          const entry = { userId: 7, uuid: randomUUID(), createdAt: new Date() };
          expect(await ledger.recordAndWait(entry)).toMatchObject({ outcome: 'written' });
          expect(await ledger.recordAndWait(entry)).toMatchObject({ outcome: 'duplicate' });
        });
      } finally {
        await admin.query(`GRANT TEMPORARY ON DATABASE ${database} TO PUBLIC`);
      }
    });
  });
});

async function withLedger(
  schema: string,
  options: LedgerOptions,
  work: (ledger: LedgerService) => Promise<void>,
): Promise<void> {
  const ledger = defineLedger({ schema });
  const module = await Test.createTestingModule({
    imports: [LedgerModule.forRoot({ ledger, flushMs: 5, ...options })],
  }).compile();
  module.useLogger(false);
  await module.init();
  try {
    await work(module.get(LedgerService));
  } finally {
    await module.close();
  }
}

async function refusalOf(promise: Promise<unknown>): Promise<unknown> {
  const error: unknown = await promise.then(
    () => undefined,
    (refusal: unknown) => refusal,
  );
  expect(isLedgerError(error, 'LEDGER_DEAD_LETTERED')).toBe(true);
  return error;
}
