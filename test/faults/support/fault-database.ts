import { startEmbeddedPostgres, type EmbeddedPostgres } from '@app/embedded-postgres';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

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

  get url(): string {
    return this.server.url;
  }

  /** Kills the server and each of its backends at once: none of them does anything any more. */
  async kill(): Promise<void> {
    const backends = await childrenOf(this.server.pid);
    const isGone = this.server.kill();
    for (const pid of backends) killIfAlive(pid);
    await isGone;
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

  /** Runs SQL on a connection of its own. @returns rows of the last statement */
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

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
