import { emptyEntries } from './empty-entries.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '@app/embedded-postgres';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createBenchLedger } from './bench-ledger.js';
import { TABLE_KINDS, tableOf, type EntryKind } from './entries.js';

/** Enough for 50 workers, a bare loop on as many connections, and others. */
const MAX_CONNECTIONS = 200;

/** A server with default durability, made for one run, with all tables. */
export class BenchDatabase {
  private constructor(
    private readonly server: EmbeddedPostgres,
    readonly admin: pg.Client,
    private readonly home: string,
  ) {}

  /** @param settings in addition to the defaults, as in postgresql.conf */
  static async open(settings: Readonly<Record<string, string>> = {}): Promise<BenchDatabase> {
    const home = await mkdtemp(join(tmpdir(), 'nestjs-ledger-bench-'));
    const server = await startEmbeddedPostgres({
      dataDir: join(home, 'postgres'),
      settings: { max_connections: MAX_CONNECTIONS, ...settings },
    });
    const admin = new pg.Client(server.url);
    await admin.connect();
    const database = new BenchDatabase(server, admin, home);
    for (const kind of TABLE_KINDS) {
      const ledger = await createBenchLedger(database.url, kind, { numWorkers: 1 });
      await ledger.close();
    }
    return database;
  }

  get url(): string {
    return this.server.url;
  }

  /** A folder from which the server can read files. */
  get dataDir(): string {
    return this.server.dataDir;
  }

  async version(): Promise<string> {
    const { rows } = await this.admin.query<{ version: string }>('SELECT version()');
    return rows[0]!.version.split(' on ')[0]!;
  }

  /** Gives every round the same start: an empty table, and no dirty pages to write. */
  async clear(kind: EntryKind): Promise<void> {
    await emptyEntries(this.admin, tableOf(kind));
    await this.admin.query('CHECKPOINT');
  }

  async count(kind: EntryKind): Promise<number> {
    const { rows } = await this.admin.query<{ count: string }>(
      `SELECT count(*) FROM ${tableOf(kind)}`,
    );
    return Number(rows[0]!.count);
  }

  /** @throws Error if the table does not contain exactly these rows: the round is void */
  async check(kind: EntryKind, rows: number): Promise<void> {
    const found = await this.count(kind);
    if (found !== rows) throw new Error(`void round: ${found} rows in the table, not ${rows}`);
  }

  async close(): Promise<void> {
    await this.admin.end();
    await this.server.dispose();
    await rm(this.home, { recursive: true, force: true });
  }
}
