import pg from 'pg';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startTcpProxy } from '../postgres/fixtures/tcp-proxy.fixture.js';
import { outputTo } from '../cli/fixtures/command-output.fixture.js';
import { definitionOptions } from '../cli/fixtures/definition-options.fixture.js';
import { runProgram } from '../cli/program.js';
import { defineLedger, type DefinitionOptions, type LedgerDefinition } from '../define-ledger.js';
import { tableNames } from '../postgres/table-names.js';
import { migrationLockKey } from './migration-lock.js';
import { runMigrations, verifyTable } from './fixtures/wired-migrations.fixture.js';

const url = inject('databaseUrl');
const schemas: string[] = [];
let client: pg.Client;
let said: string[] = [];

beforeAll(async () => {
  client = new pg.Client({ connectionString: url });
  await client.connect();
});
afterAll(async () => {
  for (const schema of schemas) await client.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
  await client.end();
});

const output = outputTo((line) => void said.push(line));
const query = async (sql: string, values: unknown[] = []): Promise<any[]> =>
  (await client.query(sql, values)).rows;

/** Definitions of the same table with different options. */
function ledgerIn(schema: string): (options?: DefinitionOptions) => LedgerDefinition {
  return (options = {}) => defineLedger({ schema, columns: { tenantId: 'uuid' }, ...options });
}

function newLedger(): ReturnType<typeof ledgerIn> {
  const schema = `indexes ${randomUUID().slice(0, 8)}`;
  schemas.push(schema);
  return ledgerIn(schema);
}

const tableOf = ({ schema }: LedgerDefinition): string => `"${schema}".usage_entries`;
const migrate = (definition: LedgerDefinition): Promise<string[]> =>
  runMigrations({ type: 'postgres', url }, definition);

async function command(definition: LedgerDefinition, ...args: string[]): Promise<number> {
  said = [];
  const own = ['--database-url', url, ...definitionOptions(definition)];
  return runProgram(['migrate', ...own, ...args], output);
}

/** The warnings of `doctor`. */
async function doctor(definition: LedgerDefinition): Promise<string[]> {
  said = [];
  await runProgram(
    ['doctor', '--json', '--database-url', url, ...definitionOptions(definition)],
    output,
  );
  const { checks } = JSON.parse(said.join('\n')) as { checks: Record<string, string>[] };
  return checks
    .filter(({ check, status }) => check === 'indexes' && status !== 'ok')
    .map(({ message }) => message!);
}

/** Valid indexes of the table except its key. */
async function indexesOf(definition: LedgerDefinition): Promise<string[]> {
  const rows = await query(
    `SELECT indexrelid::regclass::text AS name FROM pg_index
     WHERE indrelid = $1::regclass AND indisvalid AND NOT indisprimary ORDER BY 1`,
    [tableOf(definition)],
  );
  return rows.map(({ name }) => (name as string).split('.').at(-1)!.replaceAll('"', ''));
}

/**
 * Rows of text that is neither compressed nor moved out: enough to keep scripts from making an
 * index.
 */
async function fill(definition: LedgerDefinition, rows = 5_000): Promise<void> {
  await query(`ALTER TABLE ${tableOf(definition)} ALTER COLUMN memo SET STORAGE PLAIN`);
  await query(
    `INSERT INTO ${tableOf(definition)} (uuid, user_id, api_key_id, prompt_tokens,
       completion_tokens, direction, memo, created_at)
     SELECT gen_random_uuid(), 1 + n % 10, n % 20, 1, 1, 'consume', repeat('x', 7900), now()
     FROM generate_series(1, ${rows}) n`,
  );
}

const [USER, KEY, TENANT] = ['user_created', 'api_key_created', 'by_tenant_id'].map(
  (ending) => `usage_entries_${ending}`,
) as [string, string, string];

describe.each([{}, { partition: 'month' }] as const)('a new table, %j', (kind) => {
  it.each([
    [{}, [USER]],
    [{ rollup: true }, [KEY, USER]],
    [{ indexes: [] }, []],
    [{ indexes: ['apiKeyId'] }, [KEY]],
    [{ indexes: ['tenantId', 'serviceId'] }, ['usage_entries_by_service_id', TENANT]],
  ] as [DefinitionOptions, string[]][])('of %j has the indexes %j', async (options, expected) => {
    const usage = newLedger()({ ...kind, ...options });
    await migrate(usage);
    const found = await indexesOf(usage);
    expect(found.filter((name) => !/late|brin/.test(name))).toEqual(expected);
    expect(await verifyTable(query, usage)).toEqual([]);
    expect(await migrate(usage)).toEqual([]);
  });
});

it('is the same by the runner of TypeORM, there and back, and synchronisation changes nothing', async () => {
  const usage = newLedger()({ indexes: ['tenantId'] });
  const dataSource = await new DataSource({
    type: 'postgres',
    url,
    schema: usage.schema!,
    migrations: usage.migrations,
    entities: [usage.entity],
  }).initialize();
  try {
    await dataSource.query(`CREATE SCHEMA "${usage.schema}"`);
    await dataSource.runMigrations();
    expect(await indexesOf(usage)).toEqual([TENANT]);
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    expect(upQueries.map((each) => each.query).filter((sql) => /INDEX/.test(sql))).toEqual([]);
    await dataSource.undoLastMigration();
    expect(await indexesOf(usage)).toEqual([KEY, USER]);
    const left = await dataSource.driver.createSchemaBuilder().log();
    const drops = left.upQueries.map((each) => each.query).filter((sql) => /DROP INDEX/.test(sql));
    expect(drops).toEqual([]);
  } finally {
    await dataSource.destroy();
  }
});

describe.each([{}, { partition: 'month' }] as const)('a table with entries, %j', (kind) => {
  it('keeps an index that is not requested until the command drops it', async () => {
    const ledger = newLedger();
    await migrate(ledger({ ...kind, indexes: ['userId', 'apiKeyId'] }));
    const usage = ledger(kind);
    await fill(usage, 1);
    await migrate(usage);
    expect(await indexesOf(usage)).toEqual([KEY, USER]);
    expect(await verifyTable(query, usage)).toEqual([]);
    expect(await command(usage)).toBe(0);
    expect(await indexesOf(usage)).toEqual([KEY, USER]);
    expect(await command(usage, '--drop-indexes')).toBe(0);
    expect(said[0]).toBe(`migrated drop of index ${KEY}`);
    expect(await indexesOf(usage)).toEqual([USER]);
  });

  it('gets a new one from the command, while writers continue', { timeout: 60_000 }, async () => {
    const ledger = newLedger();
    await migrate(ledger({ ...kind, indexes: [] }));
    const usage = ledger({ ...kind, indexes: ['userId', 'tenantId'] });
    await fill(usage);
    expect(await migrate(usage)).toEqual([expect.stringContaining('choose_indexes+')]);
    expect(await indexesOf(usage)).toEqual([]);
    const faults = await verifyTable(query, usage);
    expect(faults.map(({ kind, subject }) => [kind, subject])).toEqual([
      ['warning', USER],
      ['warning', TENANT],
    ]);
    const writer = new Writer(usage);
    await writer.begin();
    expect(await command(usage)).toBe(0);
    const { written, refused } = await writer.end();
    expect(said.slice(0, 2)).toEqual([`migrated index ${USER}`, `migrated index ${TENANT}`]);
    expect(refused).toEqual([]);
    expect(await indexesOf(usage)).toEqual([TENANT, USER]);
    expect(await verifyTable(query, usage)).toEqual([]);
    const [{ count }] = await query(`SELECT count(*)::int AS count FROM ${tableOf(usage)}`);
    expect(count).toBe(5_000 + written);
  });

  it('gets one again after an interrupted build', async () => {
    const ledger = newLedger();
    const usage = ledger(kind);
    await migrate(usage);
    await fill(usage, 10);
    // The remains of an interrupted build.
    await query(`DROP INDEX "${usage.schema}".${USER}`);
    if (kind.partition !== undefined) {
      await query(`CREATE INDEX ${USER} ON ONLY ${tableOf(usage)} (user_id, created_at)`);
    }
    const [part, on] =
      kind.partition === undefined
        ? [USER, tableOf(usage)]
        : ['usage_entries_default_user_created', `"${usage.schema}".usage_entries_default`];
    await query(`CREATE INDEX ${part} ON ${on} (user_id, created_at)`);
    const cutOff = `"${usage.schema}".${part}`;
    await query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass`, [cutOff]);
    expect(await indexesOf(usage)).toEqual([]);
    expect(await verifyTable(query, usage)).toHaveLength(1);
    expect(await command(usage)).toBe(0);
    expect(await indexesOf(usage)).toEqual([USER]);
    expect(await verifyTable(query, usage)).toEqual([]);
  });
});

it('waits for another migrating process, and then finds the remaining work', async () => {
  const usage = newLedger()();
  await migrate(usage);
  await fill(usage, 1);
  await query(`DROP INDEX "${usage.schema}".${USER}`);
  const key = String(migrationLockKey(usage.schema!, tableNames(usage)));
  await query('SELECT pg_advisory_lock($1::bigint)', [key]);
  const proxy = await startTcpProxy(url);
  try {
    const ending = command(usage, '--database-url', proxy.url);
    const tries = (): number => proxy.sent().split(key).length - 1;
    await expect.poll(tries, { timeout: 10_000 }).toBeGreaterThan(1);
    expect(await indexesOf(usage)).toEqual([]);
    await query('SELECT pg_advisory_unlock($1::bigint)', [key]);
    expect(await ending).toBe(0);
    expect(await indexesOf(usage)).toEqual([USER]);
  } finally {
    await proxy.close();
  }
});

it('keeps the index of keys for rollups that the definition no longer requests', async () => {
  const ledger = newLedger();
  await migrate(ledger({ rollup: true }));
  const usage = ledger();
  await fill(usage, 1);
  expect(await command(usage, '--drop-indexes')).toBe(0);
  expect(await indexesOf(usage)).toContain(KEY);
  expect(await doctor(usage)).toEqual([]);
  expect(await command(usage, '--drop-rollups')).toBe(0);
  expect(await doctor(usage)).toEqual([expect.stringContaining(`${KEY} on (api_key_id, created`)]);
  expect(await command(usage, '--drop-indexes')).toBe(0);
  expect(await indexesOf(usage)).toEqual([USER]);
  expect(await doctor(usage)).toEqual([]);
});

it('accepts any valid index that begins with these columns', async () => {
  const usage = newLedger()();
  await migrate(usage);
  await query(`DROP INDEX "${usage.schema}".${USER};
    CREATE INDEX theirs ON ${tableOf(usage)} (user_id, created_at, uuid)`);
  expect(await verifyTable(query, usage)).toEqual([]);
  await query(`DROP INDEX "${usage.schema}".theirs;
    CREATE INDEX partial ON ${tableOf(usage)} (user_id, created_at) WHERE direction = 'consume'`);
  expect(await verifyTable(query, usage)).toHaveLength(1);
});

it('makes indexes with long names and with ambiguous names', async () => {
  const long = `c${'o'.repeat(62)}`;
  const schema = newLedger()().schema!;
  const usage = defineLedger({
    schema,
    table: 't'.repeat(45),
    columns: { user: 'bigint', apiKey: 'uuid', [long]: 'integer' },
    indexes: ['userId', 'apiKeyId', 'user', 'apiKey', long as 'user'],
    partition: 'month',
  });
  await migrate(usage);
  expect(await verifyTable(query, usage)).toEqual([]);
});

/** Writes single rows one after another, like a ledger's worker that is never idle. */
class Writer {
  readonly #client = new pg.Client({ connectionString: url });
  readonly #refused: string[] = [];
  #written = 0;
  #isOver = false;
  #work: Promise<void> | undefined;

  constructor(private readonly definition: LedgerDefinition) {}

  async begin(): Promise<void> {
    await this.#client.connect();
    await this.#client.query("SET lock_timeout = '2s'");
    this.#work = this.#write();
    await expect.poll(() => this.#written).toBeGreaterThan(3);
  }

  async end(): Promise<{ written: number; refused: readonly string[] }> {
    const before = this.#written;
    await expect.poll(() => this.#written).toBeGreaterThan(before + 3);
    this.#isOver = true;
    await this.#work;
    await this.#client.end();
    return { written: this.#written, refused: this.#refused };
  }

  async #write(): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#client.query(
          `INSERT INTO ${tableOf(this.definition)} (uuid, user_id, prompt_tokens,
             completion_tokens, direction, created_at)
           VALUES (gen_random_uuid(), 7, 1, 1, 'consume', now())`,
        );
        this.#written++;
      } catch (error) {
        this.#refused.push(String(error));
      }
    }
  }
}
