import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { Deadline } from '../clock/deadline.js';
import { open } from './open.js';
import { PgConnections } from './pg-connections.js';
import { readPgError } from './read-pg-error.js';

const ROLE = `role_${randomUUID().slice(0, 8)}`;
let admin: pg.Client;

beforeAll(async () => {
  admin = new pg.Client(inject('databaseUrl'));
  await admin.connect();
  await admin.query(`CREATE ROLE ${ROLE} NOLOGIN PASSWORD 'known'`);
});
afterAll(async () => {
  await admin.query(`DROP ROLE ${ROLE}`);
  await admin.end();
});

/** The message of a failed attempt to connect. */
async function wordsOf(change: (url: URL) => void): Promise<string> {
  const url = new URL(inject('databaseUrl'));
  change(url);
  const dataSource = open({ url: url.href }, { applicationName: 'test', poolSize: 1 });
  const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
  try {
    await connections.ready();
    return 'connected';
  } catch (error) {
    const taken = await connections.take(new Deadline(2_000)).catch((refusal: Error) => refusal);
    const { text } = readPgError(error);
    // The message is the same for every caller.
    expect((taken as Error).message).toContain(text);
    return text;
  } finally {
    await connections.close();
  }
}

describe('a connection that is refused', () => {
  const { host, username } = new URL(inject('databaseUrl'));

  it('names the database that does not exist, the host and the user', async () => {
    const words = await wordsOf((url) => (url.pathname = '/no_such_database'));
    expect(words).toBe(
      `database "no_such_database" does not exist (3D000) at host ${host}, user ${username}`,
    );
  });

  it('names the user who may not log in', async () => {
    const words = await wordsOf((url) => Object.assign(url, { username: ROLE, password: 'known' }));
    expect(words).toMatch(
      new RegExp(`^user "${ROLE}" may not connect \\(28000\\) at host ${host},`),
    );
  });

  it('names the user whose password is refused, and not the password', async () => {
    const words = await wordsOf((url) => Object.assign(url, { username: ROLE, password: 'hush' }));
    expect(words).toMatch(new RegExp(`^the password of user "${ROLE}" was refused \\(28P01\\) at`));
    expect(words).not.toContain('hush');
  });

  it.each([
    ['no_such_parameter=1', 'no_such_parameter'],
    ['work_mem=lots', 'work_mem'],
  ])('names the parameter of options=-c %s that the server refuses', async (setting, name) => {
    const words = await wordsOf((url) => url.searchParams.set('options', `-c ${setting}`));
    expect(words).toMatch(
      new RegExp(`startup parameter "${name}" of the connection \\((42704|22023)\\)`),
    );
  });

  it('names the address without a listener, and never the password', async () => {
    const words = await wordsOf((url) => {
      url.password = 'hush';
      url.port = '1';
    });
    expect(words).toContain('connection refused (ECONNREFUSED) at host 127.0.0.1:1, database ');
    expect(words).not.toContain('hush');
  });

  it('halts a ledger if a person must correct the cause', async () => {
    const url = inject('databaseUrl').replace(/\/[^/]*$/, '/nodb');
    const dataSource = open({ url }, { applicationName: 'test', poolSize: 1 });
    const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
    const refusal: unknown = await connections.take(new Deadline(2_000)).catch((error) => error);
    expect(isLedgerError(refusal, 'SINK_HALT')).toBe(true);
    await connections.close();
  });
});
