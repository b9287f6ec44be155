import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createReadingDatabase } from './fixtures/ledger-reading.fixture.js';
import type { ReadingDatabase } from './fixtures/ledger-reading.fixture.js';
import { defineLedger, type LedgerDefinition } from '../define-ledger.js';
import { PgConnections } from '../postgres/pg-connections.js';
import { tableNames } from '../postgres/table-names.js';
import { UsageReader } from './usage-reader.js';

let database: ReadingDatabase;
beforeAll(async () => {
  database = await createReadingDatabase(inject('databaseUrl'));
});
afterAll(() => database.drop());

/** A reader, and its warnings. */
async function open<T extends LedgerDefinition>(
  definition: T,
): Promise<{ reader: UsageReader<T>; notices: string[] }> {
  await database.open(definition);
  const notices: string[] = [];
  const { dataSource } = database;
  const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: false });
  const logger = { warn: (text: string): void => void notices.push(text) };
  const asOf = (): Date => new Date();
  return { reader: new UsageReader({ definition, connections, asOf, logger }), notices };
}

const TENANT = '018f3a1e-7c4b-7d2a-9b1c-2f3e4d5c6b7a';

describe('a read without an index', () => {
  it('warns once for each set of fields, with the remedy', async () => {
    const columns = { tenantId: 'uuid' } as const;
    const usage = defineLedger({ schema: database.schema, table: 'unindexed', columns });
    const { reader, notices } = await open(usage);
    await reader.listRecent({ userId: 1 });
    await reader.summary({ userId: 1, apiKeyId: 2 });
    await reader.summary({});
    expect(notices).toEqual([]);
    for (let i = 0; i < 2; i++) {
      await reader.summary({ apiKeyId: 2 });
      await reader.listRecent({ where: { tenantId: TENANT } });
      await reader.listRecent({ where: { tenantId: null } });
    }
    expect(notices).toEqual([
      expect.stringMatching(/^WARNING: summary by apiKeyId scans all .*`indexes` of defineLedger/),
      expect.stringMatching(/^WARNING: listRecent by tenantId /),
      expect.stringMatching(/^WARNING: listRecent of entries without a value /),
    ]);
  });

  it('does not warn if the definition has the index, or one was created by hand', async () => {
    const usage = defineLedger({
      schema: database.schema,
      table: 'indexed_otherwise',
      columns: { tenantId: 'uuid', model: 'text' },
      indexes: ['tenantId'],
    });
    const { reader, notices } = await open(usage);
    const { sqlEntries } = tableNames(usage);
    await database.client.query(`CREATE INDEX ON ${sqlEntries} (model, created_at)`);
    await reader.listRecent({ where: { tenantId: TENANT } });
    await reader.listRecent({ where: { model: 'm' } });
    expect(notices).toEqual([]);
    await reader.listRecent({ userId: 1 });
    expect(notices).toEqual([expect.stringMatching(/^WARNING: listRecent by userId /)]);
  });

  it('answers anyway, and reports its own errors', async () => {
    const usage = defineLedger({ schema: database.schema, table: 'gone' });
    const { reader, notices } = await open(usage);
    await database.client.query(`DROP TABLE ${tableNames(usage).sqlEntries}`);
    await expect(reader.summary({ apiKeyId: 1 })).rejects.toMatchObject({ sqlState: '42P01' });
    expect(notices.length).toBeLessThanOrEqual(1);
  });
});
