import { sessionOfClient } from '../postgres/fixtures/session-of-client.fixture.js';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import { resolveLedgerOptions } from '../config/resolve-ledger-options.js';
import { createLedger } from '../create-ledger.js';
import { outputTo } from '../cli/fixtures/command-output.fixture.js';
import { definitionOptions } from '../cli/fixtures/definition-options.fixture.js';
import { runProgram } from '../cli/program.js';
import {
  createLedgerDatabase,
  type LedgerDatabase,
} from '../sink/fixtures/ledger-database.fixture.js';
import { PgConnections } from '../postgres/pg-connections.js';
import { RollupRefresher } from '../rollup/rollup-refresher.js';
import { dimensions } from '../rollup/rollup-layout.js';
import { RollupSummarySource } from '../rollup/rollup-summary-source.js';
import { UsageReader } from '../reading/usage-reader.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { convertTable } from './convert-table.js';
import { tryPartitionLock } from './create-partitions.js';
import { verifyTable } from '../migrations/fixtures/wired-migrations.fixture.js';

let database: LedgerDatabase;
let said: string[];
beforeEach(async () => {
  database = await createLedgerDatabase(inject('databaseUrl'), { rollup: [] });
  said = [];
  // `verify` also counts entries that other tests spilled to the default folder.
  vi.stubEnv('LEDGER_ASYNC_SPILL_DIR', `no-spill-${database.schema}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await database.drop();
});

const say = (text: string): void => void said.push(text);

function run(...args: string[]): Promise<number> {
  return runFor(database.table, ...args);
}

function runFor(definition: LedgerTable, ...args: string[]): Promise<number> {
  const own = ['--database-url', database.url, ...definitionOptions(definition)];
  return runProgram([...args, ...own], outputTo(say));
}

const sqlTable = (): string => `"${database.schema}".usage_entries`;

const kindOf = async (): Promise<string> => {
  const [row] = await database.sql<{ relkind: string }>(
    `SELECT relkind FROM pg_class WHERE oid = '$T'::regclass`,
  );
  return row!.relkind;
};

/** Records without a pause until stopped. */
function startWriter() {
  const definition = defineLedger({ schema: database.schema });
  const options = resolveLedgerOptions({
    connection: { url: database.url },
    batchSize: 50,
    bufferSize: 100_000,
    flushMs: 5,
    numWorkers: 2,
    retryMinMs: 5,
    retryMaxMs: 50,
  });
  const { ledger } = createLedger(definition, options, { log: say, warn: say, error: say });
  void ledger.writer.start(() => {});
  let userId = 0;
  let timer: NodeJS.Immediate;
  const turn = (): void => {
    if (ledger.counters.queued - ledger.counters.written < 5000) {
      for (let i = 0; i < 20; i++) ledger.intake.offer({ userId: ++userId });
    }
    timer = setImmediate(turn);
  };
  turn();
  return {
    ledger,
    async stop() {
      clearImmediate(timer);
      await ledger.writer.flush(20_000);
      await ledger.shutdown.finish();
      await ledger.sink.close();
    },
  };
}

describe('partitions convert', () => {
  it('first reports rows of idempotency keys without a time: their keys can be reused afterwards', async () => {
    const definition = defineLedger({ schema: database.schema });
    const options = resolveLedgerOptions({ connection: { url: database.url }, flushMs: 5 });
    const { ledger } = createLedger(definition, options, { log: say, warn: say, error: say });
    void ledger.writer.start(() => {});
    for (const idempotencyKey of ['a', 'b']) ledger.intake.offer({ userId: 1, idempotencyKey });
    ledger.intake.offer({ userId: 1 });
    await ledger.writer.flush(20_000);
    await ledger.shutdown.finish();
    await ledger.sink.close();
    said.length = 0;
    const named = 'WARNING: 2 rows are known by an idempotencyKey without createdAt: ';
    expect(await run('partitions', 'convert', '--dry-run')).toBe(0);
    expect(said[0]).toContain(named);
    said.length = 0;
    expect(await run('partitions', 'convert')).toBe(0);
    expect(said[0]).toContain(named);
    const [row] = await database.sql<{ n: string }>('SELECT count(*) AS n FROM $T');
    expect(Number(row!.n)).toBe(3);
  });

  it('converts a plain table while entries are written, and none is lost', async () => {
    await database.sql(`CREATE INDEX own_memo ON $T (memo)`);
    const writer = startWriter();
    await expect
      .poll(() => writer.ledger.counters.written, { timeout: 20_000 })
      .toBeGreaterThan(200);
    expect(await run('partitions', 'convert', '--dry-run')).toBe(0);
    expect(await kindOf()).toBe('r');
    expect(await run('partitions', 'convert')).toBe(0);
    expect(await kindOf()).toBe('p');
    const before = writer.ledger.counters.written;
    await expect
      .poll(() => writer.ledger.counters.written, { timeout: 20_000 })
      .toBeGreaterThan(before + 200);
    await writer.stop();
    const { offered, queued, written, dropped } = writer.ledger.stats();
    expect({ queued, dropped }).toEqual({ queued: offered, dropped: 0 });
    expect(written).toBe(queued);
    const [row] = await database.sql<{ n: string }>('SELECT count(*) AS n FROM $T');
    expect(Number(row!.n)).toBe(written);
    expect(await run('verify', '--grace', '0')).toBe(0);
    // The checks, indexes and the key are the same as before.
    const indexes = await database.sql<{ indexdef: string }>(
      `SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'usage_entries'
       AND schemaname = '${database.schema}'`,
    );
    expect(indexes).toHaveLength(6);
    await expect(database.sql(`INSERT INTO $T SELECT * FROM $T LIMIT 1`)).rejects.toThrow(
      /duplicate key/,
    );
    said.length = 0;
    expect(await run('partitions', 'list', '--json')).toBe(0);
    const { partitions } = JSON.parse(said.join('')) as { partitions: { name: string }[] };
    expect(partitions[0]!.name).toBe('usage_entries_p0');
    expect(partitions).toHaveLength(4);
  });

  it('keeps rights, triggers and rows whose uuid has no time', async () => {
    const role = `reader_${database.schema}`;
    const s = `"${database.schema}"`;
    await database.sql(`CREATE ROLE ${role}`);
    await database.sql(`GRANT SELECT ON $T TO ${role}`);
    await database.sql(
      `CREATE FUNCTION ${s}.refuse() RETURNS trigger LANGUAGE plpgsql AS $f$
       BEGIN RAISE EXCEPTION 'append only'; END $f$`,
    );
    await database.sql(
      `CREATE TRIGGER no_truncate BEFORE TRUNCATE ON $T EXECUTE FUNCTION ${s}.refuse()`,
    );
    await database.sql(
      `INSERT INTO $T (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
       SELECT u::uuid, 1, 1, 1, 'consume', now() FROM (VALUES
       ('ffffffff-ffff-4fff-8fff-ffffffffffff'), ('00000000-0000-4000-8000-000000000000')) v (u)`,
    );
    try {
      expect(await run('partitions', 'convert', '--by', 'day')).toBe(0);
      const parts = await database.sql<{ part: string }>(
        'SELECT tableoid::regclass::text AS part FROM $T ORDER BY uuid',
      );
      expect(parts[0]!.part).toContain('usage_entries_p0');
      expect(parts[1]!.part).toContain('usage_entries_default');
      const [right] = await database.sql(
        `SELECT has_table_privilege('${role}', '$T', 'SELECT') AS ok`,
      );
      expect(right).toEqual({ ok: true });
      await expect(database.sql('TRUNCATE $T')).rejects.toThrow('append only');
      expect(await run('partitions', 'convert')).toBe(2);
      expect(said.at(-1)).toContain('partitioned already');
    } finally {
      await database.sql(`DROP OWNED BY ${role}`);
      await database.sql(`DROP ROLE ${role}`);
    }
  });

  it('leaves no check that refuses entries later, and warns of one left by a killed conversion', async () => {
    const client = new pg.Client(database.url);
    await client.connect();
    const session = sessionOfClient(client);
    const checks = async (): Promise<string[]> =>
      (await verifyTable(session.query, database.table)).map(({ subject }) => subject);
    const other = new pg.Client(database.url);
    await other.connect();
    await other.query('BEGIN');
    await tryPartitionLock(sessionOfClient(other), sqlTable());
    const failure = convertTable(session, sqlTable(), 'month');
    await expect(failure).rejects.toThrow(/another process/);
    await other.end();
    expect(await kindOf()).toBe('r');
    expect(await checks()).toEqual([]);
    const check = 'usage_entries_p0_until';
    await database.sql(`ALTER TABLE $T ADD CONSTRAINT ${check} CHECK (true)`);
    expect(await checks()).toEqual([check]);
    await client.end();
  });

  it('keeps all partitions in the tablespace of the table', async () => {
    const name = `space ${randomUUID()}`;
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    // PostgreSQL has the setting from 15 on.
    await client.query('SET allow_in_place_tablespaces = on');
    await client.query(`CREATE TABLESPACE "${name}" LOCATION ''`);
    await client.end();
    try {
      await database.sql(`ALTER TABLE $T SET TABLESPACE "${name}"`);
      expect(await run('partitions', 'convert')).toBe(0);
      expect(await run('partitions', 'create', '--ahead', '5')).toBe(0);
      const rows = await database.sql<{ where: string }>(
        `SELECT coalesce(spcname, 'elsewhere') AS where FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
         LEFT JOIN pg_tablespace t ON t.oid = reltablespace WHERE inhparent = '$T'::regclass`,
      );
      expect(rows.length).toBeGreaterThan(5);
      expect(new Set(rows.map(({ where }) => where))).toEqual(new Set([name]));
    } finally {
      await database.sql(`DROP SCHEMA "${database.schema}" CASCADE`);
      await database.sql(`DROP TABLESPACE "${name}"`);
    }
  });

  it('does not convert a table with objects that would be lost', async () => {
    await database.sql(`CREATE VIEW "${database.schema}".mine AS SELECT uuid FROM $T`);
    expect(await run('partitions', 'convert')).toBe(2);
    expect(said.at(-1)).toContain('views read it');
    expect(await kindOf()).toBe('r');
    expect(await run('partitions', 'list')).toBe(2);
  });

  it('allows dropping the old table later although it has a serial column', async () => {
    const s = `"${database.schema}"`;
    await database.sql('ALTER TABLE $T ADD COLUMN "seq No" bigserial');
    const add = (month: string) =>
      database.sql(
        `INSERT INTO $T (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
         VALUES (('${month}' || substr(gen_random_uuid()::text, 9))::uuid, 1, 1, 1, 'consume', now())`,
      );
    await add('00000000');
    expect(await run('partitions', 'convert')).toBe(0);
    await add('7f000000');
    await database.sql(`ALTER TABLE $T DETACH PARTITION ${s}.usage_entries_p0`);
    await database.sql(`DROP TABLE ${s}.usage_entries_p0`);
    await add('7f000000');
    const rows = await database.sql('SELECT "seq No" AS n FROM $T ORDER BY 1');
    expect(rows).toEqual([{ n: '2' }, { n: '3' }]);
  });

  it('does not convert a table with an identity column, which partitions cannot have', async () => {
    await database.sql('ALTER TABLE $T ADD COLUMN seq bigint GENERATED BY DEFAULT AS IDENTITY');
    expect(await run('partitions', 'convert')).toBe(2);
    expect(said.at(-1)).toContain('identity columns: seq');
    expect(await kindOf()).toBe('r');
  });
});

describe('partitions create and retire', () => {
  it('make and drop months, report it as JSON, and do nothing in a dry run', async () => {
    await database.sql('DROP TABLE $T');
    expect(await runFor({ ...database.table, partition: 'month' }, 'migrate')).toBe(0);
    const years = ['--from', '2099-01-01T00:00:00Z', '--to', '2099-03-01T00:00:00Z'];
    said.length = 0;
    expect(await run('partitions', 'create', ...years, '--dry-run')).toBe(0);
    expect(said).toEqual(['would make usage_entries_p209901', 'would make usage_entries_p209902']);
    expect(await run('partitions', 'create', ...years)).toBe(0);
    expect(said.slice(2)).toEqual(['made usage_entries_p209901', 'made usage_entries_p209902']);
    said.length = 0;
    expect(await run('partitions', 'retire', '--keep', '1', '--dry-run', '--json')).toBe(0);
    expect(JSON.parse(said.join(''))).toEqual({ retired: [], dryRun: true });
    expect(await run('partitions', 'retire', '--keep', 'x')).toBe(2);
  });

  it('keeps rollups right, and guards the partitions', async () => {
    const { admin, schema, table } = database;
    await database.sql(
      `INSERT INTO $T (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
       SELECT gen_random_uuid(), 1, 1, 0, 'consume', timestamptz '2026-01-01Z' + n * interval '1 hour'
       FROM generate_series(1, 500) n`,
    );
    const connections = new PgConnections({ dataSource: () => admin, ownsDataSource: false });
    const refresher = new RollupRefresher({
      definition: table,
      connections,
      marginMs: 0,
      restFactor: 0,
    });
    const isHeld = async (): Promise<boolean> => {
      await refresher.refresh();
      const [state] = await database.sql<{ held: boolean }>(
        `SELECT closed_before > '2026-06-01' AS held FROM "${schema}".usage_entries_rollup_state`,
      );
      return state!.held;
    };
    await expect.poll(isHeld, { timeout: 20_000 }).toBe(true);
    expect(await run('partitions', 'convert')).toBe(0);
    const source = new RollupSummarySource({
      definition: table,
      connections,
      dimensions: () => dimensions(table),
      onNotice: (text) => expect(text).toBe(''),
    });
    const asOf = (): Date => new Date();
    const reader = new UsageReader({ definition: table, connections, asOf, source });
    const entries = async (): Promise<number> => (await reader.summary({ userId: 1 })).entries;
    expect(await entries()).toBe(500);
    const change = `DELETE FROM "${schema}".usage_entries_p0 WHERE created_at < '2026-01-03Z'`;
    await expect(database.sql(change)).rejects.toMatchObject({ code: '23001' });
    expect(await refresher.pause()).toBe(true);
    await database.sql(change);
    const [row] = await database.sql<{ n: string }>('SELECT count(*) AS n FROM $T');
    expect(await entries()).toBe(Number(row!.n));
    expect(await refresher.empty()).toBe(true);
    await expect.poll(isHeld, { timeout: 20_000 }).toBe(true);
    expect(await entries()).toBe(Number(row!.n));
  });
});
