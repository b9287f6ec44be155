import {
  chooseLifeline,
  chooseServerAccount,
  findFreePort,
  serverEnvironment,
  spawnWithLifeline,
} from '@app/embedded-postgres';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';

/** Where Debian's package `postgresql-15` puts the server's programs. */
const PROGRAMS = '/usr/lib/postgresql/15/bin';
const START_LIMIT_MS = 30_000;
const run = promisify(execFile);

/** Whether PostgreSQL 15 is installed. */
export const HAS_POSTGRES_15 = existsSync(join(PROGRAMS, 'postgres'));

/** A throw-away PostgreSQL 15 of Debian. */
export interface DebianPostgres {
  /** Connection string of a superuser. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts PostgreSQL 15 on a free port of the loopback interface. */
export async function startDebianPostgres(): Promise<DebianPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-debian-'));
  await chmod(folder, 0o755);
  const data = join(folder, 'data');
  const account = await chooseServerAccount(data);
  await mkdir(data, { mode: 0o700 });
  if (account) await chown(data, account.uid, account.gid);
  const options = { ...account, cwd: '/', env: serverEnvironment() };
  const initialise = [`--pgdata=${data}`, '--username=postgres', '--auth=trust', '--no-sync'];
  await run(join(PROGRAMS, 'initdb'), [...initialise, '--encoding=UTF8', '--locale=C'], options);
  const port = await findFreePort();
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    fsync: 'off',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const command = [join(PROGRAMS, 'postgres'), '-D', data, ...flags] as const;
  const child = spawnWithLifeline([...command], chooseLifeline(), { ...options, stdio: 'ignore' });
  const exited = once(child, 'exit');
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const stop = async (): Promise<void> => {
    child.kill('SIGINT');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; await delay(50)) {
    if (child.exitCode !== null) break;
    if (await isReady(url)) return { url, stop };
  }
  await stop();
  throw new Error('PostgreSQL 15 did not start');
}

async function isReady(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
