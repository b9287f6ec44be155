import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Deadline } from '../clock/deadline.js';
import { open, type PostgresOptions } from './open.js';
import { parseAddress } from './parse-address.js';
import { PgConnections } from './pg-connections.js';

const ROLE = `token_${randomUUID().slice(0, 8)}`;
const server = new URL(inject('databaseUrl'));
const place = `${server.host}${server.pathname}`;
let admin: pg.Client;
let folder: string;
let socket: Server;
/** Connections through the socket. */
let met = 0;

beforeAll(async () => {
  admin = new pg.Client(server.href);
  await admin.connect();
  await admin.query(`CREATE ROLE ${ROLE} LOGIN PASSWORD 'token-1'`);
  // The tests' server has no unix socket.
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-socket-'));
  socket = createServer((client) => {
    const link = connect(Number(server.port), server.hostname);
    client.on('error', () => link.destroy()).pipe(link);
    link.on('error', () => client.destroy()).pipe(client);
    met += 1;
  });
  await once(socket.listen(join(folder, `.s.PGSQL.${server.port}`)), 'listening');
});
afterAll(async () => {
  await admin.query(`DROP ROLE ${ROLE}`);
  await admin.end();
  await new Promise((resolve) => socket.close(resolve));
  await rm(folder, { recursive: true });
});

/** The properties of a session with these options. */
async function sessionOf(options: Omit<PostgresOptions, 'type'>, times = 1): Promise<object> {
  const dataSource = open(options, { applicationName: 'beside', poolSize: 2 });
  const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
  try {
    for (let i = 1; ; i++) {
      const session = await connections.take(new Deadline(5_000));
      const [row] = await session.rows(
        `SELECT current_user AS role, current_database() AS database,
           current_setting('application_name') AS name,
           current_setting('statement_timeout') AS timeout`,
      );
      if (i === times) {
        await session.giveBack();
        return row!;
      }
      await session.discard();
    }
  } finally {
    await connections.close();
  }
}

describe('options next to an address', () => {
  it('take effect: a function makes the password of each connection', async () => {
    let asked = 0;
    const password = (): Promise<string> => Promise.resolve(`token-${(asked += 1) > 0 ? 1 : 0}`);
    const url = `postgres://${ROLE}@${place}?statement_timeout=7000`;
    const session = await sessionOf({ url, password }, 2);
    expect(session).toMatchObject({ role: ROLE, name: 'beside', timeout: '7s' });
    expect(asked).toBeGreaterThanOrEqual(2);
  });

  it.each([
    ['a password', { url: `postgres://${ROLE}@${place}`, password: 'token-1' }],
    [
      'a password for pg',
      { url: `postgres://${ROLE}@${place}`, extra: { password: () => 'token-1' } },
    ],
    ['user and password', { url: `postgres://${place}`, username: ROLE, password: 'token-1' }],
    [
      'host and port',
      {
        url: `postgres://${ROLE}:token-1@/postgres`,
        host: server.hostname,
        port: Number(server.port),
      },
    ],
    [
      'TLS in the address',
      { url: `postgres://${ROLE}@${place}?sslmode=disable`, password: 'token-1' },
    ],
  ])('takes effect: %s', async (_, options) => {
    expect(await sessionOf(options)).toMatchObject({ role: ROLE });
  });

  it('leave TLS of the address to pg: a server without TLS is refused', async () => {
    const url = `postgres://${ROLE}@${place}?sslmode=require`;
    await expect(sessionOf({ url, password: 'token-1' })).rejects.toThrow(/SSL/);
  });
});

describe('an address of a socket', () => {
  const user = `${server.username}:${server.password}`;
  const database = server.pathname.slice(1);
  it.each<[string, (socket: string) => string]>([
    ['user:pw@/db?host=', (at) => `postgres://${user}@/${database}?host=${at}&port=${server.port}`],
    [
      'postgres:///db?host=&user=',
      (at) =>
        `postgresql:///${database}?host=${at}&port=${server.port}&user=${server.username}&password=${server.password}`,
    ],
    [
      'an encoded folder',
      (at) => `postgres://${user}@${encodeURIComponent(at)}:${server.port}/${database}`,
    ],
    ['socket:', (at) => `socket://${user}@${at}?db=${database}&port=${server.port}`],
  ])('connects, in the form %s', async (_, make) => {
    const before = met;
    expect(await sessionOf({ url: make(folder) })).toMatchObject({ database });
    expect(met).toBeGreaterThan(before);
  });

  it('takes a password from code, like any other', async () => {
    const url = `postgres://${ROLE}@/${database}?host=${folder}&port=${server.port}`;
    const before = met;
    expect(await sessionOf({ url, password: () => 'token-1' })).toMatchObject({ role: ROLE });
    expect(met).toBeGreaterThan(before);
  });
});

describe('parseAddress', () => {
  it.each([
    server.href,
    'postgres://a:b@[::1]:6432/x',
    'postgres://a:b@/x?host=/tmp&port=5433',
    'postgres://a:b@%2Ftmp/x',
    'postgres://a:50%off@db/x y',
    'socket:/run/pg?db=x',
    'postgres://db/x?user=u&password=p%40',
    '/run/pg x',
  ])('reads %s as the installed pg does', (url) => {
    const { host, port, user, password, database } = new pg.Client({ connectionString: url });
    const read = parseAddress(url);
    expect(read.host).toBe(host);
    expect(Number(read.port ?? 5432)).toBe(port);
    if (read.user !== undefined) expect(read.user).toBe(user);
    if (read.password !== undefined) expect(read.password).toBe(password);
    if (read.database !== undefined) expect(read.database).toBe(database);
  });
});
