import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  access,
  chmod,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  realpath,
  rm,
  writeFile,
} from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { transpileLibrary } from './fixtures/transpile-library.fixture.js';
import { chooseLifeline, type Lifeline } from './lifeline.js';
import { linkLibraries } from './postgres-package.js';
import { isAlive, readPostmaster } from './postmaster-file.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from './start-embedded-postgres.js';

/** The kernel's way exists only where `setpriv` does; the watchdog works everywhere. */
const LIFELINES = [...new Set<Lifeline>([chooseLifeline(), 'watchdog'])];
const FAST = { fsync: 'off', shared_buffers: '16MB', max_connections: 10 };

async function query<T>(url: string, sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows as T[];
  } finally {
    await client.end();
  }
}

/** Methods that may be taken off the server without losing it. */
function bound(server: EmbeddedPostgres) {
  return {
    url: server.url,
    pid: server.pid,
    dataDir: server.dataDir,
    stop: () => server.stop(),
    kill: () => server.kill(),
    restart: () => server.restart(),
  };
}

async function makeFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'embedded-postgres-')));
  await chmod(folder, 0o755);
  return folder;
}

describe('startEmbeddedPostgres', () => {
  let folder: string;
  let modules: string;
  let server: EmbeddedPostgres | undefined;

  // One cluster for all tests here: they are about starting and ending it, not about making it.
  const start = async (extra: { port?: number; lifeline?: Lifeline } = {}) =>
    (server = await startEmbeddedPostgres({
      dataDir: join(folder, 'data'),
      settings: FAST,
      ...extra,
    }));

  /** Starts the server in a process of its own. Returns that process and the server's pid. */
  const startInParent = async (lifeline: Lifeline) => {
    const program = `
      const { startEmbeddedPostgres } = await import('${modules}start-embedded-postgres.js');
      const options = ${JSON.stringify({ dataDir: join(folder, 'data'), settings: FAST, lifeline })};
      console.log((await startEmbeddedPostgres(options)).pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = (await once(parent.stdout, 'data')) as [Buffer];
    return { parent, pid: Number(said.toString()) };
  };

  beforeAll(async () => {
    modules = await transpileLibrary();
    folder = await makeFolder();
  });
  afterEach(() => server?.stop());
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await rm(new URL(modules), { recursive: true, force: true });
  });

  it('keeps the data and the password from one start to the next', async () => {
    const first = await start();
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    const second = await start({ port: first.port });
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  it('lets nobody in without the password', async () => {
    const { port } = await start();
    const url = `postgres://postgres:wrong@127.0.0.1:${port}/postgres`;
    await expect(query(url, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  });

  it('takes another port if the wanted one is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const { url, port: got } = await start({ port });
    holder.close();
    expect(got).not.toBe(port);
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('comes back on the same port after a crash, with what was committed', async () => {
    const { url, kill, restart } = bound(await start());
    await query(url, 'CREATE TABLE committed AS SELECT 1 AS one');
    await kill();
    await expect(query(url, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await restart();
    expect(await query(url, 'SELECT one FROM committed')).toEqual([{ one: 1 }]);
  });

  it('starts although the lock file names a live process that is not a server', async () => {
    const first = await start();
    await first.kill();
    const lockFile = join(first.dataDir, 'postmaster.pid');
    const text = await readFile(lockFile, 'utf8');
    await writeFile(lockFile, text.replace(/^\d+/, String(process.pid)));
    const second = await start();
    expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('uses the server that already runs on the data directory, and leaves it running', async () => {
    const own = await start();
    const other = await startEmbeddedPostgres({ dataDir: own.dataDir });
    expect(other).toMatchObject({ pid: own.pid, url: own.url, isForeign: true });
    await other.stop();
    expect(await query(own.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('removes no data that a server of another has taken over', async () => {
    const first = await start();
    await first.stop();
    const other = await start();
    await first.dispose();
    expect(await query(other.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('removes the data of a killed server whose backends still write', async () => {
    const own = await makeFolder();
    const dying = await startEmbeddedPostgres({ dataDir: join(own, 'data'), settings: FAST });
    const tables = `DO $$ BEGIN FOR i IN 1..100000 LOOP
      EXECUTE format('CREATE TABLE t_%s_%s AS SELECT 1', pg_backend_pid(), i); COMMIT;
    END LOOP; END $$`;
    const writers = [1, 2, 3, 4].map(() => query(dying.url, tables).catch(() => []));
    const made = `SELECT FROM pg_class WHERE relname LIKE 't_%'`;
    const isMade = async (): Promise<void> =>
      expect(await query(dying.url, made)).not.toHaveLength(0);
    await vi.waitFor(isMade, { timeout: 25_000 });
    const asked = `SELECT pid FROM pg_stat_activity WHERE query LIKE 'DO %'`;
    const backends = await query<{ pid: number }>(dying.url, asked);
    await dying.kill();
    await dying.dispose();
    await Promise.all(writers);
    // One that waits for a lock of another that is gone would never end by itself.
    for (const { pid } of backends) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    await expect(access(join(own, 'data'))).rejects.toThrow('ENOENT');
    await rm(own, { recursive: true });
  });

  it('may be stopped twice, and leaves neither process nor lock file', async () => {
    const { pid, dataDir, stop } = bound(await start());
    await Promise.all([stop(), stop()]);
    await stop();
    expect(isAlive(pid)).toBe(false);
    expect(await readPostmaster(dataDir)).toBeUndefined();
  });

  it('installs no signal handler', async () => {
    const before = ['SIGTERM', 'SIGINT', 'exit'].map((name) => process.listenerCount(name));
    await start();
    const after = ['SIGTERM', 'SIGINT', 'exit'].map((name) => process.listenerCount(name));
    expect(after).toEqual(before);
  });

  it('tells why the server did not start', async () => {
    const settings = { ...FAST, shared_buffers: 'plenty' };
    const dataDir = join(folder, 'data');
    await expect(startEmbeddedPostgres({ dataDir, settings })).rejects.toThrow(
      /did not start[^]*shared_buffers/,
    );
  });

  it.each(LIFELINES)(
    'leaves no server behind when its parent is killed, told by the %s',
    async (lifeline) => {
      const { parent, pid } = await startInParent(lifeline);
      expect(isAlive(pid)).toBe(true);
      parent.kill('SIGKILL');
      await once(parent, 'exit');
      await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 10_000 });
    },
  );

  it('starts at once after its parent was killed, while the old server still stops', async () => {
    const { parent, pid } = await startInParent(chooseLifeline());
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    const next = await start();
    expect(next.isForeign).toBe(false);
    expect(next.pid).not.toBe(pid);
    expect(await query(next.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('does not use a server that has yet to handle its signal to stop', async () => {
    const { parent, pid } = await startInParent(chooseLifeline());
    process.kill(pid, 'SIGSTOP');
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    const starting = start();
    await delay(1000);
    process.kill(pid, 'SIGCONT');
    const next = await starting;
    expect(next.isForeign).toBe(false);
    expect(next.pid).not.toBe(pid);
    expect(await query(next.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

describe('a folder that the account of the server cannot reach', () => {
  const isRoot = process.getuid?.() === 0;

  it('is replaced by one that it can reach, the same at each start', async () => {
    const folder = await makeFolder();
    const closed = join(folder, 'closed');
    await mkdir(closed, { mode: 0o700 });
    const dataDir = join(closed, 'data');
    const first = await startEmbeddedPostgres({ dataDir, settings: FAST });
    await first.stop();
    const second = await startEmbeddedPostgres({ dataDir, settings: FAST });
    await second.stop();
    expect(second.dataDir).toBe(first.dataDir);
    // An ordinary user runs the server itself and can reach its own folder.
    expect(first.dataDir === dataDir).toBe(!isRoot);
    await second.dispose();
    await expect(access(isRoot ? join(first.dataDir, '..') : dataDir)).rejects.toThrow('ENOENT');
    await rm(folder, { recursive: true });
  });
});

describe('linkLibraries', () => {
  it('makes the links that npm left out, and keeps those that are there', async () => {
    const folder = await makeFolder();
    await mkdir(join(folder, 'native', 'lib'), { recursive: true });
    const list = [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }];
    await writeFile(join(folder, 'native', 'pg-symlinks.json'), JSON.stringify(list));
    await linkLibraries(folder);
    await linkLibraries(folder);
    expect(await readlink(join(folder, 'native', 'lib', 'libpq.so.5'))).toBe('libpq.so.5.18');
    await rm(folder, { recursive: true });
  });
});
