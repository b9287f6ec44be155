import { startEmbeddedPostgres, type EmbeddedPostgres } from '@app/embedded-postgres';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { copyAsStandby, waitUntil } from './replica.js';

/** A PostgreSQL of one test file's own, which may be killed and come back on the same port. */
export class FaultDatabase {
  private constructor(
    private readonly server: EmbeddedPostgres,
    private readonly folder: string,
  ) {}

  static async start(settings: Record<string, string | number> = {}): Promise<FaultDatabase> {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-faults-'));
    // The server may run under another account, which has to walk through the folder.
    await chmod(folder, 0o755);
    const server = await startEmbeddedPostgres({
      dataDir: join(folder, 'data'),
      // Only processes are killed here, never the machine: what was written is there.
      settings: { fsync: 'off', full_page_writes: 'off', max_connections: 40, ...settings },
    });
    return new FaultDatabase(server, folder);
  }

  /** A streaming, asynchronous standby of this server, which has all that is committed so far. */
  async startStandby(): Promise<FaultDatabase> {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-standby-'));
    await chmod(folder, 0o755);
    const dataDir = join(folder, 'data');
    await copyAsStandby(this.url, this.server.dataDir, dataDir);
    const settings = { fsync: 'off', full_page_writes: 'off', max_connections: 40 };
    const server = await startEmbeddedPostgres({ dataDir, settings });
    const standby = new FaultDatabase(server, folder);
    await waitUntil('is the standby streaming?', () => standby.isReceiving());
    return standby;
  }

  /**
   * Ends the stream to this standby: what the primary commits from now on is lost when this server is
   * promoted.
   */
  async cutOff(): Promise<void> {
    await this.sql(`ALTER SYSTEM SET primary_conninfo = ''`);
    await this.sql('SELECT pg_reload_conf()');
    await waitUntil('is the standby cut off?', async () => !(await this.isReceiving()));
  }

  /** Makes this standby the primary, on a new timeline. */
  async promote(): Promise<void> {
    await this.sql('SELECT pg_promote()');
    await waitUntil('is it promoted?', async () => {
      const [row] = await this.sql<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
      return row?.standby === false;
    });
  }

  private async isReceiving(): Promise<boolean> {
    const rows = await this.sql(`SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'`);
    return rows.length > 0;
  }

  get url(): string {
    return this.server.url;
  }

  get port(): number {
    return this.server.port;
  }

  /** Kills the server and each of its backends at once: none of them does anything any more. */
  async kill(): Promise<void> {
    const backends = await childrenOf(this.server.pid);
    const isGone = this.server.kill();
    for (const pid of backends) signal(pid, 'SIGKILL');
    await isGone;
  }

  /** Stops the server and each of its backends, as a disk that does not answer: it can only be killed. */
  async freeze(): Promise<void> {
    for (const pid of [this.server.pid, ...(await childrenOf(this.server.pid))]) {
      signal(pid, 'SIGSTOP');
    }
  }

  restart(): Promise<void> {
    return this.server.restart();
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  /** A client that may write even while the server is read-only for all others. */
  client(): pg.Client {
    const options = '-c default_transaction_read_only=off';
    return new pg.Client({ connectionString: this.url, application_name: 'faults', options });
  }

  /** Runs SQL on a separate connection. @returns rows of the last statement */
  async sql<T extends object = Record<string, unknown>>(sql: string): Promise<T[]> {
    const client = this.client();
    await client.connect();
    try {
      const result = await client.query<T>(sql);
      return (Array.isArray(result) ? (result as pg.QueryResult<T>[]).at(-1)! : result).rows;
    } finally {
      await client.end();
    }
  }

  async dispose(): Promise<void> {
    await this.server.dispose();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function childrenOf(parent: number): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!(pid > 0)) continue;
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
    // `pid (name) state ppid …`; the name may hold blanks and brackets.
    if (Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]) === parent) found.push(pid);
  }
  return found;
}

function signal(pid: number, name: 'SIGKILL' | 'SIGSTOP'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}
