import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Deadline } from '../clock/deadline.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { open, type PostgresOptions } from './open.js';
import { PgConnections } from './pg-connections.js';
import { withConnections } from './with-connections.js';

const server = new URL(inject('databaseUrl'));
const { username, password, host: UP } = server;
/** An address without a listener. */
const AWAY = '127.0.0.1:1';
const ROLE = `reader_${randomUUID().slice(0, 8)}`;
const opened = new Set<Socket>();
let admin: pg.Client;
let folder: string;
/** Forwards a unix socket to the server. */
let socket: Server;
/** Accepts connections and never answers. */
let silent: Server;
let met = 0;

beforeAll(async () => {
  admin = new pg.Client(server.href);
  await admin.connect();
  await admin.query(`CREATE ROLE ${ROLE} LOGIN PASSWORD 'known'`);
  await admin.query(`ALTER ROLE ${ROLE} SET default_transaction_read_only = on`);
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-hosts-'));
  socket = createServer((client) => {
    const link = connect(Number(server.port), server.hostname);
    client.on('error', () => link.destroy()).pipe(link);
    link.on('error', () => client.destroy()).pipe(client);
  });
  await once(socket.listen(join(folder, '.s.PGSQL.5432')), 'listening');
  silent = createServer((client) => {
    met += 1;
    opened.add(client.on('error', () => {}));
  });
  await once(silent.listen(0, '127.0.0.1'), 'listening');
});
afterAll(async () => {
  await admin.query(`DROP ROLE ${ROLE}`);
  await admin.end();
  for (const client of opened) client.destroy();
  await Promise.all([socket, silent].map((each) => new Promise((done) => each.close(done))));
  await rm(folder, { recursive: true });
});

const silentHost = (): string => `127.0.0.1:${(silent.address() as AddressInfo).port}`;

function addressOf(
  hosts: readonly string[],
  parameters = 'target_session_attrs=read-write',
): string {
  return `postgres://${username}:${password}@${hosts.join(',')}/postgres?${parameters}`;
}

/** Also a server that is slow to log a client in is reached within the limit. */
function connectionsTo(options: Omit<PostgresOptions, 'type'>): PgConnections {
  const dataSource = open(
    { connectTimeoutMS: 2_000, ...options },
    { applicationName: 'hosts', poolSize: 4 },
  );
  return new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
}

/** Port of a session's server, or the message of the refusal. */
async function metBy(options: Omit<PostgresOptions, 'type'>): Promise<string> {
  const connections = connectionsTo(options);
  try {
    return await connections.use(new Deadline(10_000), async (session) => {
      const [row] = await session.rows<{ port: number }>('SELECT inet_server_port() AS port');
      return `port ${row!.port}`;
    });
  } catch (error) {
    return (error as Error).message;
  } finally {
    await connections.close();
  }
}

describe('an address with several hosts', () => {
  const reached = `port ${server.port}`;

  it.each([
    ['the first', () => [UP, AWAY]],
    ['the next where nobody listens', () => [AWAY, UP]],
    ['the next where the host is silent', () => [silentHost(), UP]],
    ['the next where the name is unknown', () => ['no-such-host.invalid', UP]],
    ['one behind a unix socket', () => [AWAY, encodeURIComponent(folder)]],
  ])('connects to %s', async (_, hosts) => {
    expect(await metBy({ url: addressOf(hosts()) })).toBe(reached);
  });

  it("takes hosts and ports of the address's parameters", async () => {
    const [{ hostname, port }] = [server];
    const hosts = `host=127.0.0.1,${hostname}&port=1,${port}`;
    const url = `postgres://${username}:${password}@/postgres?${hosts}&target_session_attrs=primary`;
    expect(await metBy({ url })).toBe(reached);
  });

  it('uses a password from code for every host', async () => {
    const url = `postgres://${username}@${AWAY},${UP}/postgres`;
    const given = (): Promise<string> => Promise.resolve(decodeURIComponent(password));
    expect(await metBy({ url, password: given })).toBe(reached);
  });

  it('gives each host the whole time limit of a connection', async () => {
    met = 0;
    const hosts = [silentHost(), silentHost(), UP];
    expect(await metBy({ url: addressOf(hosts) })).toBe(reached);
    expect(met).toBe(2);
  });

  it('tries a silent host once, and not for each connection', async () => {
    met = 0;
    const connections = connectionsTo({ url: addressOf([silentHost(), UP]) });
    const sessions = [];
    for (let i = 0; i < 3; i++) sessions.push(await connections.take(new Deadline(5_000)));
    await Promise.all(sessions.map((session) => session.giveBack()));
    await connections.close();
    expect(met).toBe(1);
  });

  it('names every tried host with its error, and no password', async () => {
    const words = await metBy({ url: addressOf([AWAY, '127.0.0.1:2']) });
    expect(words).toContain(
      'no server takes a connection that can write (host 127.0.0.1:1: connection refused (ECONNREFUSED); ' +
        'host 127.0.0.1:2: connection refused (ECONNREFUSED)), database postgres, user ',
    );
    expect(words).not.toContain(password);
  });

  it('refuses a read-only session with a clear message', async () => {
    const url = `postgres://${ROLE}:known@${UP}/postgres?target_session_attrs=`;
    expect(await metBy({ url: `${url}read-write` })).toContain(`host ${UP}: is read-only`);
    expect(await metBy({ url: `${url}primary` })).toBe(reached);
    expect(await metBy({ url: `${url}any` })).toBe(reached);
  });

  it('tries no other host after a wrong password, and names the one that refused', async () => {
    met = 0;
    const url = `postgres://${ROLE}:hush@${AWAY},${UP},${silentHost()}/postgres`;
    const connections = connectionsTo({ url });
    const refusal: unknown = await connections.take(new Deadline(5_000)).catch((error) => error);
    await connections.close();
    expect(isLedgerError(refusal, 'SINK_HALT')).toBe(true);
    expect((refusal as Error).message).toContain(
      `the password of user "${ROLE}" was refused (28P01) at host ${UP}`,
    );
    expect(met).toBe(0);
  });

  it('leaves a server whose session turns read-only', async () => {
    const connections = connectionsTo({ url: addressOf([UP, AWAY]) });
    const pidOf = (): Promise<number> =>
      connections.use(new Deadline(5_000), async (session) => {
        const [row] = await session.rows<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        return row!.pid;
      });
    const first = await pidOf();
    const refused = connections.use(new Deadline(5_000), async (session) => {
      await session.rows('SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY');
      return session.rows('CREATE TABLE refused ()');
    });
    await expect(refused).rejects.toMatchObject({ code: '25006' });
    expect(await pidOf()).not.toBe(first);
    await connections.close();
  });

  it('ends the search when its connections are cut', async () => {
    met = 0;
    const ending = new AbortController();
    const url = addressOf([silentHost(), silentHost(), UP]);
    const searched = withConnections(
      { type: 'postgres', url, connectTimeoutMS: 5_000 },
      { ...DEFAULTS, signal: ending.signal },
      () => Promise.resolve('connected'),
    );
    searched.catch(() => undefined);
    while (met === 0) await new Promise((resolve) => setImmediate(resolve));
    ending.abort();
    await expect(searched).rejects.toThrow('no connection to the database');
    expect(met).toBe(1);
  });
});

const DEFAULTS = { applicationName: 'hosts', poolSize: 2 };
