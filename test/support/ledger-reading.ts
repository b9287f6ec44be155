import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { DataSource } from 'typeorm';
import type { LedgerTable } from '../../libs/ledger/src/entry/ledger-definition.js';
import { tableNames } from '../../libs/ledger/src/postgres/table-names.js';
import { UsageReader } from '../../libs/ledger/src/reading/usage-reader.js';
import { PgConnections } from '../../libs/ledger/src/postgres/pg-connections.js';
import { runMigrations } from '../../libs/ledger/src/migrations/fixtures/wired-migrations.fixture.js';

/** What a reader of these tests says in `asOf`. */
export const CLOCK = new Date('2026-07-08T09:10:11.012Z');

/** A row by column; what is not given has a plain value. */
export interface PlainRow {
  uuid?: string;
  user_id: unknown;
  [column: string]: unknown;
}

/** A schema of its own, with a DataSource to read through and a client to write by plain SQL. */
export interface ReadingDatabase {
  /** Has quotes and blanks in it. */
  readonly schema: string;
  readonly client: pg.Client;
  readonly dataSource: DataSource;
  /** Migrates a ledger and gives its reader. */
  open<T extends LedgerTable>(definition: T): Promise<UsageReader<T>>;
  insert(definition: LedgerTable, ...rows: PlainRow[]): Promise<void>;
  drop(): Promise<void>;
}

/** A reader on a DataSource that is somebody else's. */
export function readerOf<T extends LedgerTable>(
  dataSource: DataSource,
  definition: T,
  timeoutMs = 5_000,
): UsageReader<T> {
  const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: false });
  return new UsageReader({ definition, connections, asOf: () => CLOCK, timeoutMs });
}

export async function createReadingDatabase(
  url: string,
  options: Partial<ConstructorParameters<typeof DataSource>[0]> = {},
): Promise<ReadingDatabase> {
  const schema = `read "it" ${randomUUID()}`;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    connectTimeoutMS: 5_000,
    poolSize: 2,
    ...options,
  } as ConstructorParameters<typeof DataSource>[0]);
  await dataSource.initialize();
  return {
    schema,
    client,
    dataSource,
    async open(definition) {
      await runMigrations({ type: 'postgres', url }, definition);
      return readerOf(dataSource, definition);
    },
    async insert(definition, ...rows) {
      for (const row of rows) await insertRow(client, tableNames(definition).sqlEntries, row);
    },
    async drop() {
      await dataSource.destroy();
      await client.query(`DROP SCHEMA IF EXISTS "${schema.replaceAll('"', '""')}" CASCADE`);
      await client.end();
    },
  };
}

async function insertRow(client: pg.Client, table: string, given: PlainRow): Promise<void> {
  const row: PlainRow = {
    uuid: randomUUID(),
    prompt_tokens: 0,
    completion_tokens: 0,
    direction: 'consume',
    created_at: '2026-01-01T00:00:00Z',
    ...given,
  };
  const columns = Object.keys(row).map((column) => `"${column}"`);
  const places = columns.map((_, index) => `$${index + 1}`);
  await client.query(
    `INSERT INTO ${table} (${columns.join()}) VALUES (${places.join()})`,
    Object.values(row),
  );
}
