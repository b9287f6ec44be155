import { quoteIdentifier } from '../postgres/quote-sql.js';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startTcpProxy } from '../postgres/fixtures/tcp-proxy.fixture.js';
import { defaultLedger, defineLedger } from '../define-ledger.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { TEMPLATE_HASHES } from './fixtures/template-hashes.fixture.js';
import type { PostgresOptions } from '../postgres/open.js';
import { runMigrations, verifyTable } from './fixtures/wired-migrations.fixture.js';

const schemas: string[] = [];
let admin: pg.Client;

/** An unused schema name; the schema is dropped at the end. */
function newSchema(prefix = 'migrate'): string {
  const name = `${prefix} ${randomUUID()}`;
  schemas.push(name);
  return name;
}

function options(more: Partial<PostgresOptions> = {}): PostgresOptions {
  return { type: 'postgres', url: inject('databaseUrl'), ...more };
}

const query = async (sql: string, values: unknown[]): Promise<unknown> =>
  (await admin.query(sql, values)).rows;

async function relations(schema: string): Promise<string[]> {
  const { rows } = await admin.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace =
       (SELECT oid FROM pg_namespace WHERE nspname = $1) ORDER BY relname`,
    [schema],
  );
  return rows.map(({ name }) => name);
}

beforeAll(async () => {
  admin = new pg.Client({ connectionString: inject('databaseUrl') });
  await admin.connect();
});

afterAll(async () => {
  for (const schema of schemas) {
    await admin.query(`DROP SCHEMA IF EXISTS ${quoteIdentifier(schema)} CASCADE`);
  }
  await admin.end();
});

describe('runMigrations', () => {
  it('makes schema and tables on an empty database, then finds nothing to do', async () => {
    const schema = newSchema();
    const usage = defineLedger({ schema, columns: { model: 'text' }, rollup: true });
    const names = usage.migrations.map((Migration) => new Migration().name);
    expect(await runMigrations(options(), usage)).toEqual(names);
    expect(await runMigrations(options(), usage)).toEqual([]);
    expect(await relations(schema)).toEqual([
      'usage_entries',
      'usage_entries_api_key_created',
      'usage_entries_created_brin',
      'usage_entries_dead_letters',
      'usage_entries_dead_letters_pkey',
      'usage_entries_dead_letters_uuid',
      'usage_entries_identity',
      'usage_entries_identity_pkey',
      'usage_entries_late',
      'usage_entries_migrations',
      'usage_entries_migrations_id_seq',
      'usage_entries_migrations_pkey',
      'usage_entries_pkey',
      'usage_entries_rollup_marks',
      'usage_entries_rollup_marks_user',
      'usage_entries_rollup_span',
      'usage_entries_rollup_state',
      'usage_entries_rollup_state_pkey',
      'usage_entries_rollups',
      'usage_entries_user_created',
    ]);
    expect(await verifyTable(query, usage)).toEqual([]);
  });

  it('quotes every name with any characters', async () => {
    const schema = newSchema(`o'dd "sch.ema" $1; --\nx`);
    const usage = defineLedger({
      schema: schema.slice(0, 60),
      table: `ta"b'le.x $$ $body$ $do$\nü; DROP`,
      columns: { order: 'text', user: 'bigint' },
      immutable: true,
      rollup: true,
    });
    schemas.push(schema.slice(0, 60));
    expect(await runMigrations(options(), usage)).toHaveLength(10);
    expect(await runMigrations(options(), usage)).toEqual([]);
    expect(await verifyTable(query, usage)).toEqual([]);
  });

  it("truncates no name, for any length of the table's name", async () => {
    const schema = newSchema();
    const usage = defineLedger({ schema, table: 't'.repeat(45), rollup: true });
    await runMigrations(options(), usage);
    const made = (await relations(schema)).filter((name) => !name.endsWith('_seq'));
    expect(made).toHaveLength(19);
    expect(made.every((name) => name.startsWith('t'.repeat(45)))).toBe(true);
    expect(made).toContain(`${'t'.repeat(45)}_dead_letters_uuid`);
  });

  it("uses the schema of the connection's options if the definition has none", async () => {
    const schema = newSchema();
    const usage = defineLedger({ table: 'here' });
    expect(await runMigrations(options({ schema }), usage)).toHaveLength(4);
    expect(await runMigrations(options({ schema }), usage)).toEqual([]);
    expect(await relations(schema)).toContain('here');
  });

  it('uses the search path if there is no schema at all', async () => {
    const schema = newSchema();
    await admin.query(`CREATE SCHEMA ${quoteIdentifier(schema)}`);
    const extra = { options: `-c search_path="${schema.replaceAll(' ', '\\ ')}"` };
    const usage = defineLedger({ table: 'found' });
    expect(await runMigrations(options({ extra }), usage)).toHaveLength(4);
    expect(await runMigrations(options({ extra }), usage)).toEqual([]);
    expect(await relations(schema)).toContain('found');
  });

  it('adds a column that was declared later, and keeps existing rows', async () => {
    const schema = newSchema();
    const table = `${quoteIdentifier(schema)}.usage_entries`;
    await runMigrations(options(), defineLedger({ schema }));
    await admin.query(
      `INSERT INTO ${table} (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
       VALUES ($1, 1, 2, 3, 'consume', now())`,
      [randomUUID()],
    );
    const after = defineLedger({ schema, columns: { costNanos: 'bigint' } });
    expect(await runMigrations(options(), after)).toEqual([
      `"${schema}".usage_entries:add_cost_nanos:1767225600002`,
    ]);
    const { rows } = await admin.query(`SELECT user_id, cost_nanos FROM ${table}`);
    expect(rows).toEqual([{ user_id: '1', cost_nanos: null }]);
    expect(await verifyTable(query, after)).toEqual([]);
  });

  it('recreates objects dropped after their migration', async () => {
    const schema = newSchema();
    const usage = defineLedger({ schema, columns: { model: 'text' } });
    await runMigrations(options(), usage);
    const table = `${quoteIdentifier(schema)}.usage_entries`;
    await admin.query(`DROP TABLE ${table}_dead_letters; ALTER TABLE ${table} DROP COLUMN model`);
    await runMigrations(options(), usage);
    expect(await verifyTable(query, usage)).toEqual([]);
    const { rows } = await admin.query(`SELECT name FROM ${table}_migrations`);
    expect(rows).toHaveLength(5);
  });

  it('records number and hash of each script, also in a table of an older version', async () => {
    const schema = newSchema();
    const usage = defineLedger({ schema, immutable: true });
    const records = `${quoteIdentifier(schema)}.usage_entries_migrations`;
    await admin.query(`CREATE SCHEMA ${quoteIdentifier(schema)};
      CREATE TABLE ${records} (id serial PRIMARY KEY, "timestamp" bigint NOT NULL, name varchar NOT NULL)`);
    await runMigrations(options(), usage);
    const recorded = `SELECT number, hash, "timestamp", name FROM ${records} ORDER BY id`;
    const before = await query(recorded, []);
    const expected = usage.migrations.map((Migration) => {
      const { name } = new Migration();
      const number = Number(name.slice(-13)) - 1_767_225_600_000 + 1;
      return { number, hash: TEMPLATE_HASHES[number], timestamp: name.slice(-13), name };
    });
    expect(before).toEqual(expected);
    // A restored object is not recorded a second time.
    await admin.query(
      `DROP TRIGGER usage_entries_immutable ON ${quoteIdentifier(schema)}.usage_entries;
       UPDATE ${records} SET hash = 'of an older text' WHERE number = 6`,
    );
    expect(await runMigrations(options(), usage)).toHaveLength(1);
    expect(await query(recorded, [])).toEqual(expected);
  });

  it('finishes the work of a process that died', async () => {
    const schema = newSchema();
    const usage = defineLedger({ schema, columns: { model: 'text' } });
    await runMigrations(options(), usage);
    const table = `${quoteIdentifier(schema)}.usage_entries`;
    await admin.query(`DELETE FROM ${table}_migrations WHERE name LIKE '%dead_letters%'`);
    expect(await runMigrations(options(), usage)).toHaveLength(1);
    expect(await runMigrations(options(), usage)).toEqual([]);
  });

  it('lets one of eight calls at once migrate, and all succeed', async () => {
    const schema = newSchema();
    const usage = defineLedger({ schema, columns: { model: 'text', costNanos: 'bigint' } });
    const calls = Array.from({ length: 8 }, () => runMigrations(options(), usage, { pollMs: 20 }));
    const ran = (await Promise.all(calls)).filter(({ length }) => length > 0);
    expect(ran).toHaveLength(1);
    expect(ran[0]).toHaveLength(6);
    expect(await verifyTable(query, usage)).toEqual([]);
  });

  it('takes no lock if all objects exist', async () => {
    const usage = defineLedger({ schema: newSchema() });
    await runMigrations(options(), usage);
    const seen = await statementsOf((proxied) => runMigrations(proxied, usage));
    expect(seen).toContain('has_column_privilege');
    expect(seen).not.toContain('advisory');
  });

  it('keeps no state in the session, for transaction poolers', async () => {
    const usage = defineLedger({ schema: newSchema() });
    const seen = await statementsOf((proxied) => runMigrations(proxied, usage));
    expect(seen).toContain('pg_try_advisory_xact_lock');
    expect(seen.match(/\bSET (?!LOCAL)\w+ ?=|LISTEN|pg_(try_)?advisory_lock/g)).toBeNull();
  });

  it('leaves no connection', async () => {
    const applicationName = `migrations ${randomUUID()}`;
    await runMigrations(options({ applicationName }), defineLedger({ schema: newSchema() }));
    await expect
      .poll(async () =>
        query('SELECT FROM pg_stat_activity WHERE application_name = $1', [applicationName]),
      )
      .toEqual([]);
  });

  it('names the remedy for a role that may not create tables', async () => {
    const role = `reader_${randomUUID().replaceAll('-', '')}`;
    const schema = newSchema();
    await admin.query(`CREATE SCHEMA ${quoteIdentifier(schema)}; CREATE ROLE ${role} LOGIN`);
    try {
      const failure = runMigrations(options({ extra: { options: `-c role=${role}` } }), {
        ...defineLedger({ schema }),
      });
      await expect(failure).rejects.toSatisfy((error) => isLedgerError(error, 'SINK_HALT'));
      await expect(failure).rejects.toMatchObject({
        sqlState: '42501',
        message: expect.stringContaining('npx nestjs-ledger migrate -d <file with the definition>'),
      });
      const place = options({ schema, extra: { options: `-c role=${role}` } });
      await expect(runMigrations(place, defaultLedger)).rejects.toThrow(
        `npx nestjs-ledger migrate --connection-schema '${schema}'`,
      );
    } finally {
      await admin.query(`DROP ROLE ${role}`);
    }
  });

  it('rejects without a listening server, and can be called again', async () => {
    const usage = defineLedger({ schema: newSchema() });
    const nowhere = options({ url: 'postgres://x@127.0.0.1:1/x' });
    await expect(runMigrations(nowhere, usage)).rejects.toMatchObject({
      reason: { code: 'ECONNREFUSED' },
    });
    expect(await runMigrations(options(), usage)).toHaveLength(4);
  });
});

/** All bytes sent to the server during `work`. */
async function statementsOf(work: (proxied: PostgresOptions) => Promise<unknown>): Promise<string> {
  const proxy = await startTcpProxy(inject('databaseUrl'));
  try {
    await work(options({ url: proxy.url }));
    return proxy.sent();
  } finally {
    await proxy.close();
  }
}
