import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { defineLedger } from './define-ledger.js';
import type { LedgerDefinition } from './define-ledger.js';
import { verifyTable } from './migrations/fixtures/wired-migrations.fixture.js';

// No quotes here: TypeORM's own migrations table, unlike the ledger's, is built without quoting.
const schema = `define ledger ${randomUUID()}`;
const columns = {
  note: 'text',
  costNanos: 'bigint',
  retries: 'integer',
  price: 'numeric',
  order: 'boolean',
  tenantId: 'uuid',
  until: 'timestamptz',
  extra: 'jsonb',
} as const;

/** A DataSource as an application would have it: the ledger's entity beside its own. */
function application(...ledgers: LedgerDefinition[]): DataSource {
  return new DataSource({
    type: 'postgres',
    url: inject('databaseUrl'),
    schema,
    entities: ledgers.map(({ entity }) => entity),
    migrations: ledgers.flatMap(({ migrations }) => migrations),
    connectTimeoutMS: 5_000,
  });
}

async function withApplication(
  ledgers: LedgerDefinition[],
  work: (dataSource: DataSource) => Promise<void>,
): Promise<void> {
  const dataSource = await application(...ledgers).initialize();
  try {
    await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

async function execute(sql: string): Promise<void> {
  const dataSource = await new DataSource({
    type: 'postgres',
    url: inject('databaseUrl'),
    connectTimeoutMS: 5_000,
  }).initialize();
  await dataSource.query(sql);
  await dataSource.destroy();
}

beforeAll(() => execute(`CREATE SCHEMA "${schema}"`));
afterAll(() => execute(`DROP SCHEMA "${schema}" CASCADE`));

describe('a definition in the DataSource of an application', () => {
  const ids = {
    bigint: '9223372036854775807',
    uuid: '0190a1b2-0000-7000-8000-0000000000ff',
    text: `O'Neill "🎈" \\ \t\n`,
  };

  it.each(['bigint', 'uuid', 'text'] as const)(
    'migrates, writes and reads every type of column with %s ids',
    async (type) => {
      const usage = defineLedger({ name: `my-${type}_1`, table: `of ${type}`, ids: type, columns });
      await withApplication([usage], async (dataSource) => {
        expect(await dataSource.runMigrations()).toHaveLength(12);
        expect(await dataSource.runMigrations()).toEqual([]);
        const query = (sql: string, values: unknown[]): Promise<unknown> =>
          dataSource.query(sql, values);
        expect(await verifyTable(query, usage, { connectionSchema: schema })).toEqual([]);
        const entry = {
          uuid: randomUUID(),
          userId: ids[type],
          apiKeyId: ids[type],
          serviceId: null,
          promptTokens: 2_147_483_647,
          completionTokens: 0,
          direction: 'consume' as const,
          memo: 'tab\t, "quotes" and 🎈',
          attributes: { nested: { a: [1, null, 'x'] } },
          corrects: null,
          createdAt: new Date('2026-02-03T04:05:06.789Z'),
          note: '',
          costNanos: '-9223372036854775808',
          retries: -1,
          price: '123456789012345678901234567890.12345678901234567890',
          order: false,
          tenantId: randomUUID(),
          until: new Date('2030-01-01T00:00:00.001Z'),
          extra: ['anything', 1],
        };
        const repository = dataSource.getRepository(usage.entity);
        await repository.insert({ ...entry });
        const found = await repository.findOneByOrFail({ userId: ids[type], order: false });
        const { writtenAt, ...rest } = found;
        expect(rest).toEqual(entry);
        expect(Math.abs(writtenAt.getTime() - Date.now())).toBeLessThan(60_000);
      });
    },
  );

  it('leaves schema synchronisation nothing to change', async () => {
    const usage = defineLedger({ name: 'sync', table: 'sync_entries', columns });
    await withApplication([usage], async (dataSource) => {
      await dataSource.runMigrations();
      const changes = await dataSource.driver.createSchemaBuilder().log();
      expect(changes.upQueries.map(({ query }) => query)).toEqual([]);
    });
  });

  it('never updates an entry through save()', async () => {
    const usage = defineLedger({ name: 'append', table: 'append_entries' });
    await withApplication([usage], async (dataSource) => {
      await dataSource.runMigrations();
      const repository = dataSource.getRepository(usage.entity);
      const entry = repository.create({
        uuid: randomUUID(),
        userId: '1',
        promptTokens: 1,
        completionTokens: 2,
        direction: 'supply',
        createdAt: new Date(),
      });
      await repository.save(entry);
      await repository.save({ ...entry, promptTokens: 99 });
      expect((await repository.findOneByOrFail({ uuid: entry.uuid })).promptTokens).toBe(1);
    });
  });

  it.each([
    { promptTokens: -1, completionTokens: 0, direction: 'consume' as const },
    { promptTokens: 0, completionTokens: -1, direction: 'consume' as const },
    { promptTokens: 0, completionTokens: 0, direction: 'steal' as 'consume' },
  ])('makes a table that refuses %j', async (tokens) => {
    const usage = defineLedger({ name: 'checks', table: 'checked_entries' });
    await withApplication([usage], async (dataSource) => {
      await dataSource.runMigrations();
      const repository = dataSource.getRepository(usage.entity);
      const entry = { ...tokens, uuid: randomUUID(), userId: '1', createdAt: new Date() };
      await expect(repository.insert(entry)).rejects.toMatchObject({ code: '23514' });
      const correction = { ...entry, corrects: randomUUID(), direction: 'consume' as const };
      await repository.insert(correction);
    });
  });

  it('runs a column declared later as a new migration, and takes all back in order', async () => {
    const before = defineLedger({ table: 'growing entries', rollup: true });
    const after = defineLedger({
      table: 'growing entries',
      columns: { model: 'text' },
      rollup: true,
    });
    await withApplication([before], async (dataSource) => {
      expect(await dataSource.runMigrations()).toHaveLength(6);
    });
    await withApplication([after], async (dataSource) => {
      expect((await dataSource.runMigrations()).map(({ name }) => name)).toEqual([
        '"growing entries":add_model:1767225600002',
      ]);
      for (let count = 0; count < 7; count += 1) await dataSource.undoLastMigration();
      const tables: unknown[] = await dataSource.query(
        `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname LIKE 'growing%'`,
        [schema],
      );
      expect(tables).toEqual([]);
    });
  });

  it('shares its migrations table with another ledger', async () => {
    const one = defineLedger({ name: 'one', table: 'one' });
    const two = defineLedger({ name: 'two', table: 'two', ids: 'uuid' });
    await withApplication([one, two], async (dataSource) => {
      expect(await dataSource.runMigrations()).toHaveLength(8);
      expect(await dataSource.getRepository(one.entity).count()).toBe(0);
      expect(await dataSource.getRepository(two.entity).count()).toBe(0);
    });
  });
});
