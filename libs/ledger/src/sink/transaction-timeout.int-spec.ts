import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  openRollupBench,
  ownSchema,
  type RollupBench,
} from '../rollup/fixtures/rollup-bench.fixture.js';
import { defineLedger } from '../define-ledger.js';
import { runMigrations } from '../migrations/fixtures/wired-migrations.fixture.js';

/** Milliseconds allowed for the role's transactions, and a longer pause. */
const LIMIT_MS = 1_000;
const PAUSE_MS = 2_000;

const usage = defineLedger({ schema: ownSchema(), rollup: {} });
const role = `role_${randomUUID().slice(0, 8)}`;
const url = new URL(inject('databaseUrl'));
const admin = new pg.Client({ connectionString: url.href });
await admin.connect();
/** PostgreSQL has the setting from 17 on. */
const { rowCount } = await admin.query(
  `SELECT FROM pg_settings WHERE name = 'transaction_timeout'`,
);
let bench: RollupBench;

beforeAll(async () => {
  await admin.query(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD '${role}'`);
  Object.assign(url, { username: role, password: role });
  if (rowCount) await admin.query(`ALTER ROLE ${role} SET transaction_timeout = ${LIMIT_MS}`);
  bench = await openRollupBench(url.href, usage);
  if (rowCount) await bench.client.query('SET transaction_timeout = 0');
});
afterAll(async () => {
  await bench.close();
  await admin.query(`DROP ROLE ${role}`);
  await admin.end();
});

const REPORT = {
  from: new Date('2026-01-01'),
  to: new Date('2027-01-01'),
  groupBy: ['userId'],
} as const;

describe.runIf(rowCount)('a transaction_timeout of the role', () => {
  beforeEach(async () => {
    await bench.change(`TRUNCATE ${bench.table}`);
    await bench.client.query(
      `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
       SELECT gen_random_uuid(), n, 1, 1, 'consume', '2026-01-05Z'::timestamptz + n * interval '1 minute'
       FROM generate_series(1, 2000) n`,
    );
  });

  it('ends no refresh', async () => {
    await bench.client.query(`CREATE FUNCTION "${usage.schema}".slow() RETURNS trigger
      LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(${PAUSE_MS / 1000}); RETURN NULL; END $$`);
    await bench.client.query(`CREATE TRIGGER slow AFTER UPDATE ON ${bench.names.sqlState}
      FOR EACH STATEMENT EXECUTE FUNCTION "${usage.schema}".slow()`);
    await bench.refreshAll();
    await bench.client.query(`DROP TRIGGER slow ON ${bench.names.sqlState}`);
    expect(await bench.closedBefore()).not.toBeNull();
  });

  it('ends no report whose reader takes its time', async () => {
    let rows = 0;
    for await (const row of bench.reader.report(REPORT)) {
      rows += row.entries;
      if (rows === 1) await sleep(PAUSE_MS);
    }
    expect(rows).toBe(2_000);
  });

  it('ends no migration that waits for a lock', async () => {
    await bench.client.query(`DROP TABLE "${usage.schema}".usage_entries_dead_letters`);
    const holder = new pg.Client({ connectionString: inject('databaseUrl') });
    await holder.connect();
    await holder.query(`BEGIN; LOCK TABLE ${bench.table}`);
    const migrating = runMigrations({ type: 'postgres', url: url.href }, usage);
    await sleep(PAUSE_MS);
    await holder.query('COMMIT');
    await holder.end();
    expect(await migrating).toContain(
      `"${usage.schema}".usage_entries:create_dead_letters:1767225600001`,
    );
  });
});
