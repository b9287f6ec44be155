import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import {
  createLedgerDatabase,
  type LedgerDatabase,
} from '../sink/fixtures/ledger-database.fixture.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { definitionOptions } from './fixtures/definition-options.fixture.js';
import type { Diagnosis } from './health-checks.js';
import { runProgram } from './program.js';

const url = inject('databaseUrl');
let database: LedgerDatabase;
let dir: string;
let said: string[];
const output = outputTo((text) => void said.push(text));

beforeEach(async () => {
  database = await createLedgerDatabase(url, {
    ids: 'text',
    columns: { costNanos: 'bigint' },
    rollup: [],
  });
  dir = await mkdtemp(join(tmpdir(), 'ledger-doctor-'));
  said = [];
});
afterEach(async () => {
  await database.drop();
  await rm(dir, { recursive: true, force: true });
});

interface Found {
  readonly code: number;
  readonly checks: readonly Diagnosis[];
}

/** Where nothing else is given: the fixture's table and a folder of the test's own. */
function doctor(args: readonly string[] = [], databaseUrl = url): Promise<Found> {
  return doctorBySettings(['--spill-dir', dir, ...args], databaseUrl);
}

async function doctorBySettings(args: readonly string[], databaseUrl = url): Promise<Found> {
  said = [];
  const own = definitionOptions(database.table);
  const code = await runProgram(
    ['doctor', '--json', '--database-url', databaseUrl, ...own, ...args],
    output,
  );
  const { checks } = JSON.parse(said.join('\n')) as { checks: Diagnosis[] };
  expect(code).toBe(checks.some(({ status }) => status === 'fault') ? 1 : 0);
  return { code, checks };
}

async function withEnvironment<T>(
  given: Readonly<Record<string, string>>,
  work: () => Promise<T>,
): Promise<T> {
  for (const [name, text] of Object.entries(given)) vi.stubEnv(name, text);
  try {
    return await work();
  } finally {
    vi.unstubAllEnvs();
  }
}

const notOk = ({ checks }: Found) =>
  // The server of the tests gives up durability for speed.
  checks.filter(({ status, check }) => status !== 'ok' && check !== 'durability');

describe('nestjs-ledger doctor', () => {
  it('finds nothing wrong with what the migrations made', async () => {
    const found = await doctor(['--workers', '2']);
    expect(notOk(found)).toEqual([]);
    expect(new Set(found.checks.map(({ check }) => check))).toEqual(
      new Set([
        ...['reachable', 'table', 'permissions', 'indexes', 'connections', 'durability'],
        ...['pooler', 'encoding', 'clock', 'spill directory'],
      ]),
    );
    expect(found.checks.find(({ check }) => check === 'pooler')!.message).toMatch(/^none/);
  });

  it.each([
    [
      'a table that is missing',
      'DROP TABLE $T',
      { check: 'table', status: 'fault', remedy: expect.stringContaining('nestjs-ledger migrate') },
    ],
    [
      'a column of another type',
      'ALTER TABLE $T ALTER COLUMN cost_nanos TYPE numeric',
      { check: 'table', status: 'fault', remedy: expect.stringContaining('ALTER TABLE') },
    ],
    [
      'an index that is gone',
      'DROP INDEX $S.usage_entries_user_idx',
      {
        ...{ check: 'indexes', status: 'warning' },
        message: expect.stringMatching(/user_id, created_at.*reads by userId/),
        remedy: expect.stringMatching(/nestjs-ledger migrate/),
      },
    ],
  ])('tells of %s, with the remedy', async (_what, sql, expected) => {
    const [{ indexname } = { indexname: '' }] = await database.sql<{ indexname: string }>(
      `SELECT indexname FROM pg_indexes WHERE schemaname = '${database.schema}'
       AND tablename = 'usage_entries' AND indexdef LIKE '%(user_id%'`,
    );
    await database.sql(
      sql.replace('$S.usage_entries_user_idx', `"${database.schema}"."${indexname}"`),
    );
    const found = await doctor();
    expect(notOk(found)).toContainEqual(expect.objectContaining(expected));
  });

  it('reports missing rights of the role, and the statement that grants them', async () => {
    const role = `doctor_${randomUUID().slice(0, 8)}`;
    await database.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'pass'`);
    try {
      const as = new URL(url);
      [as.username, as.password] = [role, 'pass'];
      const use = `GRANT USAGE ON SCHEMA "${database.schema}" TO "${role}"`;
      expect(notOk(await doctor([], as.href))).toContainEqual({
        ...{ check: 'permissions', status: 'fault', remedy: use },
        message: `the role may not use schema "${database.schema}"`,
      });
      said = [];
      const own = definitionOptions(database.table);
      const verify = ['verify', '--database-url', as.href, ...own];
      expect(await runProgram(verify, output)).toBe(2);
      expect(said).toEqual([
        expect.stringContaining(
          `error: the role may not use schema "${database.schema}": ${use}; asked: host `,
        ),
      ]);
      await database.sql(use);
      const found = await doctor([], as.href);
      expect(found.code).toBe(1);
      expect(notOk(found)).toContainEqual({
        check: 'permissions',
        status: 'fault',
        message: `the role may not INSERT, SELECT on "${database.schema}"."usage_entries"`,
        remedy: `GRANT INSERT, SELECT ON "${database.schema}"."usage_entries" TO "${role}"`,
      });
      const rights = notOk(found).filter(({ check }) => check === 'permissions');
      for (const { remedy } of rights) await database.sql(remedy!);
      // Entries are written now, and reads of rollups are a right too.
      expect(notOk(await doctor([], as.href))).toEqual([
        expect.objectContaining({
          ...{ check: 'permissions', status: 'warning' },
          remedy: expect.stringMatching(/^GRANT SELECT ON .*_rollups/) as string,
        }),
      ]);
    } finally {
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('counts the connections of all instances against the server', async () => {
    const [{ most }] = (await database.sql<{ most: number }>(
      "SELECT current_setting('max_connections')::int AS most",
    )) as [{ most: number }];
    const few = await doctor(['--instances', String(most), '--workers', '1']);
    expect(notOk(few)).toMatchObject([{ check: 'connections', status: 'fault' }]);
    expect(few.code).toBe(1);
    const many = await doctor(['--workers', String(Math.ceil(most / 10) + 1)]);
    expect(notOk(many)).toMatchObject([{ check: 'connections', status: 'warning' }]);
  });

  it('looks at the spill directory as this process may use it', async () => {
    await writeFile(join(dir, 'spill-default-host-1-x-1.ndjson'), '');
    expect(notOk(await doctor())).toMatchObject([
      {
        check: 'spill directory',
        status: 'warning',
        remedy: expect.stringContaining(`npx nestjs-ledger replay ${dir}`),
      },
    ]);
    const notAFolder = join(dir, 'file');
    await writeFile(notAFolder, '');
    const found = await doctor(['--spill-dir', join(notAFolder, 'below')]);
    expect(notOk(found)).toMatchObject([{ check: 'spill directory', status: 'fault' }]);
    expect(found.code).toBe(1);
  });

  it.each([
    [{}, 256],
    [{ LEDGER_ASYNC_PROFILE: 'ultra' }, 1024],
    [{ LEDGER_ASYNC_PROFILE: 'ultra', LEDGER_ASYNC_BUFFER_MAX_BYTES: '16777216' }, 16],
    [{ TOKLIGENCE_LEDGER_ASYNC_BUFFER_MAX_BYTES: '33554432' }, 32],
  ])(
    'compares the disk with a full channel as the settings %j have it',
    async (given, mebibytes) => {
      const found = await withEnvironment(given, () => doctor());
      expect(found.checks.find(({ check }) => check === 'spill directory')!.message).toMatch(
        new RegExp(` MiB (free for a channel of up to|left, less than the) ${mebibytes} MiB`),
      );
    },
  );

  it.each([
    [{ LEDGER_ASYNC_PROFILE: 'high', LEDGER_ASYNC_SPILL_DIR: '$dir/env' }, 5, 'env'],
    [{ LEDGER_CONFIG_FILE: '$dir/ledger.ini', TOKLIGENCE_LEDGER_ASYNC_NUM_WORKERS: '2' }, 2, 'ini'],
    [{ LEDGER_CONFIG_FILE: '$dir/ledger.ini' }, 3, 'ini'],
    // One of them is at fault, which says nothing of the others.
    [{ LEDGER_CONFIG_FILE: '$dir/ledger.ini', LEDGER_ASYNC_FLUSH_MS: 'x' }, 3, 'ini'],
    [{ LEDGER_CONFIG_FILE: '$dir/ledger.ini', LEDGER_ASYNC_NUM_WORKERS: '0' }, 1, 'ini'],
  ])(
    'counts workers and looks for the directory as %j has them',
    async (given, workers, folder) => {
      const ini = `[ledger]\nledger_async_num_workers=3\nledger_async_spill_dir=${join(dir, 'ini')}\n`;
      await writeFile(join(dir, 'ledger.ini'), ini);
      const env = Object.fromEntries(
        Object.entries(given).map(([name, text]) => [name, text.replace('$dir', dir)]),
      );
      const { checks } = await withEnvironment(env, () => doctorBySettings([]));
      const messageOf = (check: string) => checks.find((each) => each.check === check)!.message;
      expect(messageOf('connections')).toContain(`1 x (${workers} workers + 2)`);
      expect(messageOf('spill directory')).toContain(`${join(dir, folder)} takes and syncs files`);
      const explicit = await withEnvironment(env, () => doctor(['--workers', '4']));
      expect(explicit.checks.map(({ message }) => message).join('\n')).toContain(
        '1 x (4 workers + 2)',
      );
    },
  );

  it('reports settings with which no ledger starts', async () => {
    const found = await withEnvironment({ LEDGER_ASYNC_BUFFER_MAX_BYTES: '1' }, () => doctor());
    expect(notOk(found)).toEqual([
      {
        ...{ check: 'settings', status: 'fault' },
        message: 'LEDGER_ASYNC_BUFFER_MAX_BYTES = 1 (environment)',
        remedy: expect.stringMatching(
          /^must be .*: no ledger starts until this is corrected$/,
        ) as string,
      },
    ]);
  });

  it('reports a partitioned table whose entries go to the default partition', async () => {
    const month = await createLedgerDatabase(url, { partition: 'month' });
    const own = definitionOptions(month.table);
    const check = async (): Promise<Diagnosis | undefined> => {
      said = [];
      const args = ['--json', '--database-url', url, '--spill-dir', dir, ...own];
      await runProgram(['doctor', ...args], output);
      const { checks } = JSON.parse(said.join('\n')) as { checks: Diagnosis[] };
      return checks.find((each) => each.check === 'partitions');
    };
    try {
      const none = await check();
      expect(none).toMatchObject({ status: 'warning' });
      expect(none?.message).toContain('has only the default partition');
      expect(none?.remedy).toContain(`npx nestjs-ledger partitions create ${own.join(' ')}`);
      await runProgram(['partitions', 'create', '--database-url', url, ...own], output);
      expect(await check()).toMatchObject({ status: 'ok' });
      // As after months in which no partition was made.
      vi.setSystemTime(Date.now() + 150 * 86_400_000);
      const late = await check();
      expect(late).toMatchObject({ status: 'warning' });
      expect(late?.message).toMatch(/has none for \d{6} and \d{6}/);
    } finally {
      vi.useRealTimers();
      await month.drop();
    }
  });

  it('says nothing of rights, and makes no second table, where the table is in another schema', async () => {
    said = [];
    const path = new URL(url);
    path.searchParams.set('options', '-c search_path=pg_temp');
    const args = ['--database-url', path.href, '--spill-dir', dir];
    expect(await runProgram(['doctor', ...args], output)).toBe(1);
    const text = said.join('\n');
    expect(text).toMatch(/^FAULT {3}table: table "?usage_entries"? is missing/m);
    expect(text).not.toMatch(/^ok {6}permissions/m);
    expect(text).toContain("warning permissions: can't be checked without the table");
    expect(text).toContain(`there is a table usage_entries in schema`);
    expect(text).toContain(`--connection-schema`);
    // Other commands say the same, and where they looked.
    said = [];
    expect(await runProgram(['verify', '--database-url', path.href], output)).toBe(2);
    expect(said.join('\n')).toMatch(
      /there is no table .*: there is a table .*; asked: host .*, database .*, user /,
    );
    expect(said.join('\n')).toContain('would create a second table');
  });

  it('names host, database, user and the variable, and never the password', async () => {
    const secret = new URL(url);
    const { hostname, port, pathname, username, password } = secret;
    expect(password.length).toBeGreaterThan(3);
    const place = `host ${hostname}:${port}, database ${pathname.slice(1)}, user ${username}`;
    const args = ['doctor', '--spill-dir', dir, ...definitionOptions(database.table)];
    await withEnvironment({ DATABASE_URL: secret.href }, () => runProgram(args, output));
    expect(said.join('\n')).toContain(`at ${place} (DATABASE_URL), answers in`);
    secret.pathname = '/nodb';
    for (const command of ['doctor', 'migrate', 'verify', 'rollup', 'replay']) {
      said = [];
      const more = command === 'replay' ? ['--from-table'] : [];
      await runProgram([command, ...more, '--database-url', secret.href], output);
      expect(said.join('\n'), command).toContain('database "nodb" does not exist (3D000)');
      expect(said.join('\n'), command).toContain(`host ${hostname}:${port}`);
      expect(said.join('\n'), command).not.toContain(
        password === 'postgres' ? ':postgres@' : password,
      );
    }
  });

  it('puts the options that name the definition into the commands of a remedy', async () => {
    await writeFile(join(dir, 'default-1-1.ndjson'), '');
    await database.sql(`DROP TABLE ${database.schema}.usage_entries CASCADE`);
    const own = [...definitionOptions(database.table), '--ledger', database.table.name];
    for (const command of [['verify'], ['doctor', '--spill-dir', dir]]) {
      said = [];
      await runProgram([...command, '--database-url', url, ...own], output);
      expect(said.join('\n')).toContain(`npx nestjs-ledger migrate ${own.join(' ')}\``);
    }
    expect(said.join('\n')).toContain(`npx nestjs-ledger replay ${dir} ${own.join(' ')}\``);
  });

  it('reports disabled durability', async () => {
    const off = new URL(url);
    off.searchParams.set('options', '-c synchronous_commit=off');
    const found = await doctor([], off.href);
    expect(found.checks).toContainEqual(
      expect.objectContaining({
        check: 'durability',
        status: 'warning',
        message: expect.stringContaining('synchronous_commit is off'),
      }),
    );
  });

  it('prints lines for people, a fault for an unreachable server, and no secret', async () => {
    const args = ['doctor', '--spill-dir', dir, '--database-url'];
    expect(await runProgram([...args, 'postgres://me:s3cret@127.0.0.1:1/x'], output)).toBe(1);
    const text = said.join('\n');
    expect(text).toMatch(/^FAULT {3}reachable: can't be reached: .*ECONNREFUSED/);
    expect(text).toContain('\n          -> check address, network');
    expect(text).toMatch(/^ok {6}spill directory/m);
    expect(text).not.toContain('s3cret');
    expect(await runProgram(['doctor'], output)).toBe(2);
  });
});
