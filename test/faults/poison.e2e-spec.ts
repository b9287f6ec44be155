import type { INestApplicationContext } from '@nestjs/common';
import type { LedgerService, UsageEntry } from 'nestjs-ledger';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { replay } from '../../libs/ledger/src/cli/replay.command.js';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { startTcpProxy } from '../../libs/ledger/src/postgres/fixtures/tcp-proxy.fixture.js';
import { FaultApp } from './support/fault-app.js';
import { FaultDatabase } from './support/fault-database.js';
import { startLedgerModule } from './support/ledger-module.js';
import { expectNothingLost, QUIET } from './support/nothing-lost.js';

const ENTRIES = 100;
const POISON = 42;
const WAIT = { timeout: 10_000, interval: 20 };

let database: FaultDatabase;
let app: INestApplicationContext | undefined;

beforeAll(async () => {
  database = await FaultDatabase.start();
});
afterAll(() => database?.dispose());
afterEach(async () => {
  await app?.close();
  app = undefined;
  await database.sql('DROP SCHEMA IF EXISTS poison CASCADE');
});

async function startLedger(role = 'postgres'): Promise<LedgerService> {
  const url = new URL(database.url);
  if (role !== 'postgres') url.username = role;
  const started = await startLedgerModule('poison', {
    connection: { url: url.href },
    migrations: role === 'postgres' ? 'run' : 'off',
    ...{ batchSize: ENTRIES, flushMs: 50, retryMinMs: 20, retryMaxMs: 200 },
    writeTimeoutMs: 5000,
  });
  app = started.app;
  return started.ledger;
}

/** One batch whose entry 42 breaks what a user may forbid. */
function recordBatch(ledger: LedgerService): void {
  const entries = Array.from({ length: ENTRIES }, (_, i): UsageEntry => {
    return { userId: i + 1, promptTokens: i, memo: i === POISON ? 'poison' : `memo ${i}` };
  });
  expect(ledger.recordMany(entries).queued).toBe(ENTRIES);
}

interface PoisonCase {
  readonly fault: string;
  readonly breaks: string;
  readonly mends: string;
  readonly sqlState: string;
  /** What the dead letter's detail, or the reason, names. */
  readonly names: string;
}

const TRIGGER = `
  CREATE FUNCTION poison.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN IF NEW.memo = 'poison' THEN RAISE EXCEPTION 'secret %', NEW.memo; END IF; RETURN NEW;
  END $$;`;
const T = 'poison.usage_entries';
const DROP_CHECK = `ALTER TABLE ${T} DROP CONSTRAINT mine`;

const GUILTY_ROWS: PoisonCase[] = [
  {
    fault: 'a CHECK',
    breaks: `ALTER TABLE ${T} ADD CONSTRAINT mine CHECK (memo <> 'poison')`,
    mends: DROP_CHECK,
    sqlState: '23514',
    names: 'constraint mine',
  },
  {
    fault: 'a foreign key',
    breaks: `CREATE TABLE poison.users (id bigint PRIMARY KEY);
      INSERT INTO poison.users SELECT i FROM generate_series(1, 100) i WHERE i <> ${POISON + 1};
      ALTER TABLE ${T} ADD CONSTRAINT mine FOREIGN KEY (user_id) REFERENCES poison.users`,
    mends: DROP_CHECK,
    sqlState: '23503',
    names: 'constraint mine',
  },
  {
    fault: 'a deferred trigger',
    breaks: `${TRIGGER} CREATE CONSTRAINT TRIGGER mine AFTER INSERT ON ${T} DEFERRABLE
      INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION poison.refuse()`,
    mends: `DROP TRIGGER mine ON ${T}`,
    sqlState: 'P0001',
    names: 'raise_exception',
  },
  {
    fault: 'a RAISE in a trigger',
    breaks: `${TRIGGER} CREATE TRIGGER mine BEFORE INSERT ON ${T}
      FOR EACH ROW EXECUTE FUNCTION poison.refuse()`,
    mends: `DROP TRIGGER mine ON ${T}`,
    sqlState: 'P0001',
    names: 'raise_exception',
  },
  {
    fault: 'a unique index of the user’s own',
    breaks: `INSERT INTO ${T} (uuid, user_id, prompt_tokens, completion_tokens, direction, memo,
      created_at) VALUES (gen_random_uuid(), 1, 0, 0, 'consume', 'poison', now());
      CREATE UNIQUE INDEX mine ON ${T} (memo)`,
    mends: 'DROP INDEX poison.mine',
    sqlState: '23505',
    names: 'mine',
  },
  {
    fault: 'a column too narrow',
    breaks: `UPDATE ${T} SET memo = ''; ALTER TABLE ${T} ADD CONSTRAINT mine
      CHECK (true); ALTER TABLE ${T} ALTER COLUMN prompt_tokens TYPE numeric(2, 0);
      ALTER TABLE ${T} ALTER COLUMN prompt_tokens TYPE integer;
      CREATE DOMAIN poison.short AS integer CONSTRAINT narrow CHECK (VALUE <> ${POISON});
      ALTER TABLE ${T} ALTER COLUMN prompt_tokens TYPE poison.short`,
    mends: `ALTER TABLE ${T} ALTER COLUMN prompt_tokens TYPE integer`,
    sqlState: '23514',
    names: 'narrow',
  },
];

describe('an entry that the server refuses', () => {
  it.each(GUILTY_ROWS)(
    'for $fault takes no other along, and is replayed once that is mended',
    async (given) => {
      const ledger = await startLedger();
      await database.sql(given.breaks);
      const [before] = await database.sql<{ n: number }>(`SELECT count(*)::int AS n FROM ${T}`);
      recordBatch(ledger);
      await ledger.flush();
      const stats = ledger.stats();
      assertConservation(stats);
      expect(stats).toMatchObject({ written: ENTRIES - 1, deadLettered: 1, state: 'running' });
      const letters = await database.sql<Record<string, unknown>>(
        `SELECT reason, sql_state, detail, entry->>'memo' AS memo FROM ${T}_dead_letters`,
      );
      expect(letters).toMatchObject([
        { reason: 'refused', sql_state: given.sqlState, memo: 'poison' },
      ]);
      expect(letters[0]!['detail']).toContain(given.names);
      expect(letters[0]!['detail']).not.toMatch(/secret|poison$/);
      await database.sql(given.mends);
      const at = { databaseUrl: database.url, connectionSchema: 'poison' };
      expect(await replay(undefined, { ...at, fromTable: true }, QUIET)).toBe(0);
      const [after] = await database.sql<{ n: number }>(`SELECT count(*)::int AS n FROM ${T}`);
      expect(after!.n - before!.n).toBe(ENTRIES);
    },
  );
});

const SCHEMA_FAULTS: PoisonCase[] = [
  {
    fault: 'a NOT NULL column was added',
    breaks: `ALTER TABLE ${T} ADD COLUMN tenant text NOT NULL`,
    mends: `ALTER TABLE ${T} ALTER COLUMN tenant SET DEFAULT ''`,
    sqlState: '23502',
    names: 'tenant',
  },
  {
    fault: 'a column’s type changed',
    breaks: `ALTER TABLE ${T} ALTER COLUMN prompt_tokens TYPE bigint`,
    mends: `ALTER TABLE ${T} ALTER COLUMN prompt_tokens TYPE integer`,
    sqlState: '08P01',
    names: 'prompt_tokens',
  },
  {
    fault: 'a column was narrowed below all entries',
    breaks: `ALTER TABLE ${T} ALTER COLUMN memo TYPE varchar(3)`,
    mends: `ALTER TABLE ${T} ALTER COLUMN memo TYPE text`,
    sqlState: '22001',
    names: 'memo',
  },
  {
    fault: 'a column is gone',
    breaks: `ALTER TABLE ${T} RENAME COLUMN memo TO note`,
    mends: `ALTER TABLE ${T} RENAME COLUMN note TO memo`,
    sqlState: '42703',
    names: 'undefined_column',
  },
  {
    fault: 'a partition is missing',
    breaks: `ALTER TABLE ${T} RENAME TO plain;
      CREATE TABLE ${T} (LIKE poison.plain INCLUDING DEFAULTS, PRIMARY KEY (uuid, created_at))
      PARTITION BY RANGE (created_at)`,
    mends: `CREATE TABLE poison.all_time PARTITION OF ${T} DEFAULT`,
    sqlState: '23514',
    names: 'usage_entries',
  },
];

describe('a fault of the schema is no poison', () => {
  it.each(SCHEMA_FAULTS)(
    '$fault: halted, nothing set aside, and written once that is mended',
    async (given) => {
      const ledger = await startLedger();
      await database.sql(given.breaks);
      recordBatch(ledger);
      await vi.waitFor(() => expect(ledger.stats().state).toBe('halted'), WAIT);
      expect(ledger.stats().reason).toContain(given.sqlState);
      expect(ledger.stats().reason).toContain(given.names);
      expect(ledger.stats()).toMatchObject({ written: 0, deadLettered: 0, inFlight: ENTRIES });
      await database.sql(given.mends);
      await ledger.flush();
      expect(ledger.stats()).toMatchObject({ written: ENTRIES, deadLettered: 0, state: 'running' });
      assertConservation(ledger.stats());
    },
  );

  it('row-level security without a policy: halted, and with one the entries it refuses are set aside', async () => {
    const first = await startLedger();
    await first.flush();
    await app!.close();
    const password = new URL(database.url).password;
    await database.sql(`DROP ROLE IF EXISTS writer; CREATE ROLE writer LOGIN PASSWORD '${password}';
      GRANT USAGE ON SCHEMA poison TO writer;
      GRANT INSERT, SELECT ON ALL TABLES IN SCHEMA poison TO writer;
      ALTER TABLE ${T} ENABLE ROW LEVEL SECURITY`);
    const ledger = await startLedger('writer');
    recordBatch(ledger);
    await vi.waitFor(() => expect(ledger.stats().state).toBe('halted'), WAIT);
    expect(ledger.stats().reason).toContain('42501');
    expect(ledger.stats()).toMatchObject({ written: 0, deadLettered: 0, inFlight: ENTRIES });
    await database.sql(`CREATE POLICY mine ON ${T} USING (true) WITH CHECK (memo <> 'poison')`);
    await ledger.flush();
    expect(ledger.stats()).toMatchObject({ written: ENTRIES - 1, deadLettered: 1 });
    await app!.close();
    await database.sql('DROP SCHEMA poison CASCADE; DROP ROLE writer');
  });
});

describe('a poison row at the start of a batch of 16 MB', () => {
  it.each([
    { way: 'directly', bytesPerSecond: undefined },
    { way: 'through a slow network', bytesPerSecond: 8_000_000 },
  ])('$way is set aside, and the process survives', async ({ bytesPerSecond }) => {
    await database.sql('DROP SCHEMA IF EXISTS faults CASCADE');
    const proxy = await startTcpProxy(database.url);
    proxy.bytesPerSecond = bytesPerSecond;
    const settings = { BATCH_SIZE: 100_000, FLUSH_MS: 5000, NUM_WORKERS: 1 };
    const large = await FaultApp.start(bytesPerSecond === undefined ? database.url : proxy.url, {
      ...settings,
      WRITE_TIMEOUT_MS: 30_000,
    });
    try {
      await large.until(({ state }) => state === 'running');
      await database.sql(
        'ALTER TABLE faults.usage_entries ADD CONSTRAINT mine CHECK (prompt_tokens <> 1)',
      );
      large.load(4000, { memoBytes: 8000, isAwaited: false });
      await large.until(({ queued }) => queued > 2200);
      large.pause();
      const { deadLettered, written, queued } = await large.settled();
      expect({ deadLettered, written }).toEqual({ deadLettered: 1, written: queued - 1 });
      expect(largestBatch(large.output)).toBeGreaterThan(2000);
      await expectNothingLost(database, [large], { stillRefused: 1 });
    } finally {
      await large.dispose();
      await proxy.close();
    }
  });
});

/** Entries of the largest batch in the log. */
function largestBatch(output: string): number {
  return Math.max(0, ...[...output.matchAll(/flushed \d+\/(\d+) /g)].map(([, of]) => Number(of)));
}
