import { readRows } from '../postgres/read-rows.js';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  AGAIN,
  ATTEMPT,
  MEMOS,
  refusal,
  SinksUnderTest,
} from './fixtures/sinks-under-test.fixture.js';
import { PgConnections } from '../postgres/pg-connections.js';
import { PostgresSink } from './postgres.sink.js';
import { prepareTable } from '../migrations/fixtures/wired-migrations.fixture.js';

const QUIET = { log: () => {}, warn: () => {} };

let test: SinksUnderTest;
let role: string;
let connections: PgConnections;

beforeEach(async () => {
  test = await SinksUnderTest.create(inject('databaseUrl'));
  role = `role_${randomUUID().slice(0, 8)}`;
  await test.database.sql(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD '${role}'`);
  await set('search_path', `"${test.database.schema}"`);
  const url = new URL(test.database.url);
  url.username = role;
  url.password = role;
  const dataSource = test.database.dataSource({ url: url.href, poolSize: 1 });
  connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
});
afterEach(async () => {
  await connections.close();
  await test.database.sql(`DROP ROLE ${role}`);
  await test.dispose();
});

/** Sets a property of the role; existing sessions keep their settings. */
async function set(name: string, value: string): Promise<void> {
  await test.database.sql(`ALTER ROLE ${role} SET ${name} = ${value}`);
}

/** A sink whose table is found by the search path. */
function makeSink(strategy: 'copy' | 'insert' = 'copy'): PostgresSink {
  const table = { ...test.database.table, schema: undefined };
  const prepare = (): Promise<void> =>
    prepareTable(connections, table, {
      mode: 'verify',
      deadLetters: true,
      logger: QUIET,
    });
  return new PostgresSink({ connections, table, strategy, prepare, onNotice: () => {} });
}

describe("a setting of the role that hides the ledger's table", () => {
  it.each([
    ['copy', ATTEMPT],
    ['insert', AGAIN],
  ] as const)('says read only until it is mended (%s)', async (strategy, attempt) => {
    await set('default_transaction_read_only', 'on');
    const sink = makeSink(strategy);
    const told = await refusal(sink.write(test.batchOf(MEMOS), attempt));
    expect(told).toMatchObject({ kind: 'transient', sqlState: '25006' });
    await set('default_transaction_read_only', 'off');
    await expect(sink.write(test.batchOf(MEMOS), attempt)).resolves.toMatchObject({ written: 4 });
  });

  it('leads to another schema until it is corrected', async () => {
    await set('search_path', 'pg_catalog');
    const sink = makeSink();
    await expect(sink.prepare()).rejects.toThrow('is missing');
    await set('search_path', `"${test.database.schema}"`);
    await sink.prepare();
  });

  it('misleads the writers and readers of a session until it is corrected', async () => {
    await set('search_path', 'pg_catalog');
    const sink = makeSink();
    const read = (): Promise<unknown> =>
      readRows(connections, () => ({ text: 'SELECT FROM usage_entries', values: [] }), 5_000);
    const told = await refusal(sink.write(test.batchOf(MEMOS), ATTEMPT));
    expect(told).toMatchObject({ kind: 'halt', sqlState: '42P01' });
    await expect(read()).rejects.toMatchObject({ sqlState: '42P01' });
    await set('search_path', `"${test.database.schema}"`);
    await expect(read()).resolves.toEqual([]);
    await expect(sink.write(test.batchOf(MEMOS), ATTEMPT)).resolves.toMatchObject({ written: 4 });
  });
});
