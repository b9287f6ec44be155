import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { copySql } from './bare-copy.js';
import type { BenchDatabase } from './bench-database.js';
import { COPY_HEADER, COPY_TRAILER, encodeBatches, type EntryKind } from './entries.js';

/** Number for unique names of one run's files. */
let files = 0;

/** The server alone: it reads the same rows from files. No client is faster. */
export class ServerCopy {
  private constructor(
    private readonly statements: readonly string[],
    private readonly clients: readonly pg.Client[],
    private readonly paths: readonly string[],
  ) {}

  /** Writes one file a connection; together they hold `rows` rows. */
  static async open(
    database: BenchDatabase,
    kind: EntryKind,
    { rows, connections }: { rows: number; connections: number },
  ): Promise<ServerCopy> {
    const clients = Array.from({ length: connections }, () => new pg.Client(database.url));
    await Promise.all(clients.map((client) => client.connect()));
    const statements: string[] = [];
    const paths: string[] = [];
    const parts = encodeBatches(kind, rows, Math.ceil(rows / connections));
    for (const part of parts) {
      const path = join(database.dataDir, `bench-${files++}.copy`);
      await writeFile(path, Buffer.concat([COPY_HEADER, part, COPY_TRAILER]), { mode: 0o644 });
      paths.push(path);
      statements.push(copySql(kind, `'${path}'`));
    }
    return new ServerCopy(statements, clients, paths);
  }

  async run(): Promise<void> {
    await Promise.all(this.statements.map((sql, index) => this.clients[index]!.query(sql)));
  }

  async close(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.end()));
    await Promise.all(this.paths.map((path) => rm(path, { force: true })));
  }
}
