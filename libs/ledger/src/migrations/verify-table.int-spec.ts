import type { TableFault } from '../postgres/table-fault.interface.js';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { migrateCommand } from '../entry/ledger-command.js';
import { haltOnFaults } from './verify-table.js';
import type { VerifyOptions } from './verify-table.js';
import { migrationSql, runMigrations, verifyTable } from './fixtures/wired-migrations.fixture.js';

const schema = `verify ${randomUUID()}`;
const usage = defineLedger({
  schema,
  table: 'entries',
  columns: { tenantId: 'uuid' },
  rollup: true,
});
const entries = `"${schema}".entries`;
let client: pg.Client;
let statements = 0;

const query = async (sql: string, values: unknown[]): Promise<unknown> => {
  statements += 1;
  return (await client.query(sql, values)).rows;
};

const verify = (
  definition: LedgerTable = usage,
  options?: Partial<VerifyOptions>,
): Promise<TableFault[]> => verifyTable(query, definition, options);

beforeAll(async () => {
  client = new pg.Client({ connectionString: inject('databaseUrl') });
  await client.connect();
});

beforeEach(async () => {
  await client.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
  await runMigrations({ type: 'postgres', url: inject('databaseUrl') }, usage);
});

afterAll(async () => {
  await client.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
  await client.end();
});

describe('verifyTable', () => {
  it('finds no fault after the migrations, in few round trips', async () => {
    statements = 0;
    expect(await verify()).toEqual([]);
    expect(statements).toBeLessThanOrEqual(6);
    statements = 0;
    await verify(defineLedger({ schema, table: 'others' }), {});
    expect(statements).toBe(1);
  });

  it('warns of tables that a crash empties', async () => {
    await client.query(`ALTER TABLE ${entries} SET UNLOGGED;
      ALTER TABLE "${schema}".entries_dead_letters SET UNLOGGED`);
    const warnings = await verify();
    expect(warnings.map(({ kind, problem }) => [kind, problem.split(':')[0]])).toEqual([
      ['warning', `"${schema}".entries is UNLOGGED`],
      ['warning', `"${schema}".entries_dead_letters is UNLOGGED`],
    ]);
    for (const { remedy } of warnings) await client.query(remedy);
    expect(await verify()).toEqual([]);
  });

  it('warns of a partition that a crash empties', async () => {
    const monthly = defineLedger({ schema, table: 'monthly', partition: 'month' });
    await runMigrations({ type: 'postgres', url: inject('databaseUrl') }, monthly);
    const { rows } = await client.query<{ name: string }>(
      `SELECT inhrelid::regclass::text AS name FROM pg_inherits
         WHERE inhparent = '"${schema}".monthly'::regclass LIMIT 1`,
    );
    const { name } = rows[0]!;
    await client.query(`ALTER TABLE ${name} SET UNLOGGED`);
    expect((await verify(monthly)).map(({ subject }) => subject)).toEqual([name]);
  });

  it('warns of rules that COPY does not run, and of children that can contain an entry twice', async () => {
    await client.query(`CREATE TABLE "${schema}".old (LIKE ${entries}) INHERITS (${entries});
      CREATE TABLE "${schema}".kept (LIKE ${entries} INCLUDING INDEXES) INHERITS (${entries});
      CREATE RULE own AS ON INSERT TO ${entries} DO ALSO SELECT 1;
      CREATE RULE other AS ON UPDATE TO ${entries} DO ALSO SELECT 1`);
    const faults = await verify(usage, { deadLetters: false });
    expect(faults.filter(({ subject }) => !subject.startsWith('entries'))).toMatchObject([
      {
        kind: 'warning',
        object: 'rule',
        subject: 'own',
        problem: `rule own of "${schema}"."entries" is not run by COPY, only with strategy: 'insert'`,
      },
      {
        kind: 'warning',
        subject: `"${schema}".old`,
        remedy: `CREATE UNIQUE INDEX ON "${schema}".old (uuid)`,
      },
    ]);
    await client.query(faults.find(({ subject }) => subject.endsWith('old'))!.remedy);
    await client.query(`DROP RULE own ON ${entries}`);
    expect((await verify()).filter(({ subject }) => !subject.startsWith('entries'))).toEqual([]);
  });

  it('names missing tables and the command that makes them', async () => {
    await client.query(`DROP SCHEMA "${schema}" CASCADE`);
    const remedy = `run \`${migrateCommand(usage)}\`, or set migrations: 'run'`;
    expect(await verify()).toEqual([
      {
        kind: 'missing',
        subject: 'entries',
        problem: `table "${schema}"."entries" is missing`,
        remedy,
      },
      {
        kind: 'missing',
        subject: 'entries_dead_letters',
        problem: `table "${schema}"."entries_dead_letters" is missing`,
        remedy,
      },
    ]);
    expect(await verify(usage, { deadLetters: false })).toHaveLength(1);
  });

  it('names a declared column that was not migrated yet', async () => {
    const later = defineLedger({ schema, table: 'entries', columns: { model: 'text' } });
    expect(await verify(later)).toMatchObject([{ kind: 'missing', subject: 'model' }]);
  });

  // Each case breaks the table in one way; the reported remedy, run as SQL, must correct it.
  it.each([
    [`ALTER TABLE $ DROP COLUMN memo`, 'memo', 'column memo of $ is missing'],
    [`ALTER TABLE $ DROP COLUMN written_at`, 'written_at', 'column written_at of $ is missing'],
    [`ALTER TABLE $ ALTER memo SET NOT NULL`, 'memo', 'column memo of $ does not take NULL'],
    [`ALTER TABLE $ ALTER tenant_id SET NOT NULL`, 'tenant_id', '$ does not take NULL'],
    [`ALTER TABLE $ ALTER written_at DROP DEFAULT`, 'written_at', '$ has no default'],
    [`ALTER TABLE $ ADD owner text NOT NULL`, 'owner', 'NOT NULL without a default'],
    [`ALTER TABLE $ DROP CONSTRAINT entries_pkey`, 'uuid', '$ has no unique index on uuid alone'],
    [`ALTER TABLE $_dead_letters DROP COLUMN detail`, 'detail', 'column detail of $_dead_letters'],
    [
      `ALTER TABLE $ DROP memo, ADD memo text GENERATED ALWAYS AS ('x') STORED`,
      'memo',
      'column memo of $ is generated',
    ],
    [
      `ALTER TABLE $ DROP CONSTRAINT entries_pkey, ADD PRIMARY KEY (uuid, created_at)`,
      'uuid',
      '$ has no unique index on uuid alone',
    ],
    [
      `ALTER TABLE $ DROP CONSTRAINT entries_pkey, ADD PRIMARY KEY (uuid) DEFERRABLE`,
      'uuid',
      '$ has no unique index on uuid alone',
    ],
  ])('finds the fault of %s, and how to mend it', async (breakage, subject, problem) => {
    await client.query(breakage.replace('$', entries));
    const faults = (await verify()).filter(({ kind }) => kind !== 'warning');
    expect(faults).toHaveLength(1);
    const [fault] = faults;
    expect(fault).toMatchObject({ kind: 'different', subject });
    expect(fault?.problem.replace('."entries', '.entries').replaceAll('"', '')).toContain(
      problem.replace('$', entries.replaceAll('"', '')),
    );
    await client.query(fault?.remedy ?? '');
    expect((await verify()).filter(({ kind }) => kind !== 'warning')).toEqual([]);
  });

  it.each(['varchar(40)', 'numeric', 'text[]'])('finds a memo of type %s', async (type) => {
    await client.query(`ALTER TABLE ${entries} ALTER memo TYPE ${type} USING NULL`);
    const [fault, ...others] = await verify();
    expect(others).toEqual([]);
    expect(fault).toMatchObject({ kind: 'different', subject: 'memo' });
    expect(fault?.problem).toContain('instead of text');
  });

  it('finds ids of a different type than in the definition', async () => {
    const other = defineLedger({ schema, table: 'entries', ids: 'uuid' });
    expect((await verify(other)).map(({ subject }) => subject)).toEqual([
      'user_id',
      'api_key_id',
      'service_id',
    ]);
  });

  it('finds a different object instead of a table', async () => {
    await client.query(`DROP TABLE ${entries}; CREATE VIEW ${entries} AS SELECT 1 AS uuid`);
    expect(await verify(usage, { deadLetters: false })).toMatchObject([
      { kind: 'different', subject: 'entries', problem: `"${schema}"."entries" is not a table` },
    ]);
  });

  it('only warns of a column that needlessly accepts NULL', async () => {
    await client.query(`ALTER TABLE ${entries} ALTER user_id DROP NOT NULL`);
    const faults = await verify();
    expect(faults).toMatchObject([{ kind: 'warning', subject: 'user_id' }]);
    expect(() => haltOnFaults(usage, faults)).not.toThrow();
  });

  it('accepts a partitioned table and foreign columns', async () => {
    await client.query(`DROP TABLE ${entries}`);
    await client.query(
      `CREATE TABLE ${entries} (uuid uuid PRIMARY KEY, user_id bigint NOT NULL, api_key_id bigint,
         service_id bigint, prompt_tokens integer NOT NULL, completion_tokens integer NOT NULL,
         direction text NOT NULL, memo text, attributes jsonb, corrects uuid,
         created_at timestamptz NOT NULL, written_at timestamptz NOT NULL DEFAULT now(),
         tenant_id uuid, note text, region text NOT NULL DEFAULT 'eu') PARTITION BY HASH (uuid)`,
    );
    // The rollups of the former table still exist; migrations make all of them again.
    expect(await verify({ ...usage, rollup: false })).toHaveLength(5);
    expect(await verify()).toMatchObject([
      { kind: 'warning', subject: 'entries_user_created' },
      { kind: 'warning', subject: 'entries_api_key_created' },
      { kind: 'warning', subject: 'entries_rollup_update' },
      { kind: 'warning', subject: 'entries_rollup_delete' },
      { kind: 'warning', subject: 'entries_rollup_truncate' },
      { kind: 'warning', subject: 'entries_created_brin' },
    ]);
    for (const sql of migrationSql(usage)) await client.query(sql);
    expect(await verify()).toEqual([]);
  });

  it('finds the table through the search path if there is no schema', async () => {
    const plain = defineLedger({ table: 'entries', columns: { tenantId: 'uuid' } });
    expect(await verify(plain)).toHaveLength(2);
    expect(await verify(plain, { connectionSchema: schema })).toEqual([]);
    await client.query(`SET search_path TO "${schema}"`);
    try {
      expect(await verify(plain)).toEqual([]);
    } finally {
      await client.query('RESET search_path');
    }
  });
});

describe('verifyTable as a role without rights', () => {
  const role = `writer_${randomUUID().replaceAll('-', '')}`;

  beforeAll(() => client.query(`CREATE ROLE ${role}`));
  afterAll(() => client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`));

  async function verifyAsRole(options?: Partial<VerifyOptions>): Promise<TableFault[]> {
    await client.query(`SET ROLE ${role}`);
    try {
      return await verify(usage, options);
    } finally {
      await client.query('RESET ROLE');
    }
  }

  it('names each missing right, and the reported statements grant them all', async () => {
    const faults = await verifyAsRole();
    expect(faults.map(({ kind, subject }) => [kind, subject])).toEqual([
      ['privilege', schema],
      ['privilege', 'entries'],
      ['privilege', 'entries_dead_letters'],
    ]);
    expect(faults[1]?.problem).toBe(`the role may not INSERT, SELECT on "${schema}"."entries"`);
    for (const { remedy } of faults) await client.query(remedy);
    // The role may write now; what is left is the right that makes its reads fast.
    const left = await verifyAsRole();
    expect(left).toMatchObject([
      { kind: 'warning', isPrivilege: true, subject: 'entries_rollups' },
    ]);
    await client.query(left[0]!.remedy);
    expect(await verifyAsRole()).toEqual([]);
  });

  it('accepts rights on the columns alone', async () => {
    await client.query(`GRANT USAGE ON SCHEMA "${schema}" TO ${role}`);
    await client.query(`GRANT SELECT ON ${entries} TO ${role}`);
    const columns = 'uuid, user_id, api_key_id, service_id, prompt_tokens, completion_tokens, ';
    const others = 'direction, memo, attributes, corrects, created_at';
    await client.query(`GRANT INSERT (${columns}${others}) ON ${entries} TO ${role}`);
    const faults = await verifyAsRole({ deadLetters: false });
    expect(faults).toMatchObject([
      { kind: 'privilege', problem: expect.stringContaining('may not INSERT on') },
    ]);
    await client.query(`GRANT INSERT (tenant_id) ON ${entries} TO ${role}`);
    const left = await verifyAsRole({ deadLetters: false });
    expect(left).toMatchObject([{ kind: 'warning', subject: 'entries_rollups' }]);
    await client.query(left[0]!.remedy);
    expect(await verifyAsRole({ deadLetters: false })).toEqual([]);
  });

  it('needs no right to make temporary tables', async () => {
    const database = (await client.query('SELECT current_database() AS name')).rows[0].name;
    await client.query(`GRANT USAGE ON SCHEMA "${schema}" TO ${role}`);
    await client.query(`GRANT ALL ON ALL TABLES IN SCHEMA "${schema}" TO ${role}`);
    await client.query('BEGIN');
    try {
      // Rolled back, because other tests use this database too.
      await client.query(`REVOKE TEMPORARY ON DATABASE "${database}" FROM PUBLIC`);
      expect(await verifyAsRole()).toEqual([]);
    } finally {
      await client.query('ROLLBACK');
    }
  });
});

describe('haltOnFaults', () => {
  it('reports all faults with their remedies in one error, with the code of the first', async () => {
    await client.query(`DROP TABLE ${entries}_dead_letters; ALTER TABLE ${entries} DROP memo`);
    const faults = await verify();
    try {
      haltOnFaults(usage, faults);
      expect.unreachable();
    } catch (error) {
      expect(isLedgerError(error, 'SINK_HALT')).toBe(true);
      expect(error).toMatchObject({ subject: 'memo', sqlState: '42804' });
      const { message } = error as Error;
      for (const { problem, remedy } of faults) {
        expect(message).toContain(problem);
        expect(message).toContain(remedy);
      }
    }
  });

  it('does nothing without a fault', () => {
    expect(() => haltOnFaults(usage, [])).not.toThrow();
  });
});
