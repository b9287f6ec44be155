import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Deadline } from '../../libs/ledger/src/clock/deadline.js';
import { open } from '../../libs/ledger/src/postgres/open.js';
import { PgConnections } from '../../libs/ledger/src/postgres/pg-connections.js';
import { FaultDatabase } from './support/fault-database.js';
import { PG_BOUNCER, PgBouncer } from './support/pg-bouncer.js';

let database: FaultDatabase;
let bouncer: PgBouncer;

beforeAll(async () => {
  if (PG_BOUNCER === undefined) return;
  database = await FaultDatabase.start();
  bouncer = await PgBouncer.start(database.url, 2);
});
afterAll(async () => {
  await bouncer?.dispose();
  await database?.dispose();
});

/** What a ledger says of a connection with these options, through the pooler. */
async function refusalOf(query: string, extra: object): Promise<string> {
  const dataSource = open(
    { url: `${bouncer.url}${query}`, extra },
    { applicationName: 'test', poolSize: 1 },
  );
  const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
  try {
    return await connections.use(new Deadline(5_000), () => Promise.resolve('connected'));
  } catch (error) {
    return (error as Error).message;
  } finally {
    await connections.close();
  }
}

describe('a startup parameter that PgBouncer refuses', () => {
  it.skipIf(PG_BOUNCER === undefined).each([
    ['statement_timeout', '', { statement_timeout: 5_000 }],
    ['lock_timeout', '?lock_timeout=5000', {}],
    ['idle_in_transaction_session_timeout', '', { idle_in_transaction_session_timeout: 5_000 }],
    ['search_path', '?options=-c%20search_path%3Dpublic', {}],
    ['options', '?options=--work_mem%3D64MB', {}],
  ])('%s is named, with the place of the pooler', async (name, query, extra) => {
    const words = await refusalOf(query, extra);
    expect(words).toMatch(/refuses the startup parameter "\w+" of the connection \(08P01\)/);
    expect(words).toContain(`at host ${new URL(bouncer.url).host}, database `);
    expect(words).toMatch(new RegExp(`"(${name}|options)"`));
  });

  it.skipIf(PG_BOUNCER === undefined)('is none for a connection without any', async () => {
    expect(await refusalOf('', {})).toBe('connected');
  });
});
