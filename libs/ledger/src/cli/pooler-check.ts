import type { Socket } from 'node:net';
import pg from 'pg';
import { CONNECT_TIMEOUT_MS } from '../postgres/connection-defaults.js';
import { fault, ok, type Diagnosis } from './health-checks.js';

const LOOKS = 5;
const TRANSACTION_MODE =
  'transaction mode: fine, a batch is one transaction and keeps no session; its pool must have a ' +
  'connection for each worker, and two for `migrate`';

/**
 * What stands between here and the server. A pooler in transaction mode gives the backend of a
 * client that is idle to another one, in which case both see the same process; one in statement
 * mode refuses `BEGIN`. Of what keeps sessions only the port gives a hint.
 *
 * @throws the error of pg
 * @internal
 */
export async function checkPooler(databaseUrl: string): Promise<Diagnosis[]> {
  const [first, second] = await Promise.all([connect(databaseUrl), connect(databaseUrl)]);
  try {
    const idle = await backendOf(first);
    if (await sharesBackends(first, second, idle.pid)) return [ok('pooler', TRANSACTION_MODE)];
    const { localPort } = (first as unknown as { connection: { stream: Socket } }).connection
      .stream;
    if (idle.port !== null && idle.port !== localPort) {
      return [
        ok('pooler', 'something that keeps sessions: a pooler in session mode, proxy or NAT'),
      ];
    }
    return [ok('pooler', 'none: straight to the server')];
  } catch (error) {
    // By its text, because PgBouncer's code is 08P01 for all refusals, even an unknown database.
    if (!/statement pooling/.test((error as Error).message)) throw error;
    const remedy = 'pool_mode = transaction';
    return [fault('pooler', 'statement mode: a batch is more than one statement', remedy)];
  } finally {
    await Promise.all([first.end(), second.end()]);
  }
}

/** On a shared pooler another client may get the backend, so it looks more than once. */
async function sharesBackends(first: pg.Client, second: pg.Client, pid: number): Promise<boolean> {
  for (let look = 0; look < LOOKS; look++) {
    const idle = await backendOf(first);
    await second.query('BEGIN');
    const taken = await backendOf(second);
    await second.query('ROLLBACK');
    // Without sharing, a session keeps its backend exclusively.
    if (idle.pid !== pid || taken.pid === idle.pid) return true;
  }
  return false;
}

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString,
    application_name: 'nestjs-ledger doctor',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function backendOf(client: pg.Client): Promise<{ pid: number; port: number | null }> {
  const { rows } = await client.query<{ pid: number; port: number | null }>(
    'SELECT pg_backend_pid() AS pid, inet_client_port() AS port',
  );
  return rows[0]!;
}
