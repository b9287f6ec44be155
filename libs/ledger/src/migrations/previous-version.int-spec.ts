import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  INSTALLED_LEDGERS,
  restoreInstalled,
  type InstalledDatabase,
} from './fixtures/installed-database.fixture.js';
import { runMigrations, verifyTable } from './fixtures/wired-migrations.fixture.js';

const FIXTURES = fileURLToPath(new URL('fixtures/installed/', import.meta.url));
/** Inside the library, to use its dependencies. */
const PLACE = fileURLToPath(new URL('../../.tmp/', import.meta.url));

let folder: string;
let database: InstalledDatabase;

beforeAll(async () => {
  await mkdir(PLACE, { recursive: true });
  folder = await mkdtemp(join(PLACE, 'previous-'));
  await promisify(execFile)('tar', [
    '-xzf',
    join(FIXTURES, 'package-a08dbc3.tar.gz'),
    '-C',
    folder,
  ]);
  database = await restoreInstalled(inject('databaseUrl'));
}, 120_000);
afterAll(async () => {
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

interface Report {
  readonly rounds: number;
  readonly written?: number;
  readonly queued?: number;
  readonly faults: readonly string[];
}

/** An application of the previous version that records and reads, round after round. */
class PreviousProcess {
  last: Report = { rounds: 0, faults: [] };
  readonly #child: ChildProcess;
  #said = '';

  constructor(user: number) {
    const args = [join(folder, 'package'), database.url, String(user)];
    this.#child = fork(join(FIXTURES, 'previous-process.js'), args, { stdio: 'pipe' });
    this.#child.on('message', (report) => (this.last = report as Report));
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.on('data', (text) => (this.#said += String(text)));
    }
  }

  /** Waits for this many more rounds. */
  async rounds(count: number): Promise<void> {
    const from = this.last.rounds;
    const isThere = (): boolean =>
      this.last.rounds >= from + count || this.#child.exitCode !== null;
    await expect.poll(isThere, { timeout: 60_000, interval: 5 }).toBe(true);
    expect(this.#child.exitCode, this.#said).toBeNull();
  }

  async stop(): Promise<Report> {
    const exited = once(this.#child, 'exit');
    this.#child.send('stop');
    await exited;
    return this.last;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

async function migrateAll(): Promise<void> {
  for (const definition of INSTALLED_LEDGERS) {
    await runMigrations({ type: 'postgres', url: database.url }, definition);
  }
}

describe('processes of the previous version', { timeout: 180_000 }, () => {
  it('write and read correctly while the tables are migrated, and afterwards', async () => {
    const processes = [new PreviousProcess(9001), new PreviousProcess(9002)];
    try {
      await Promise.all(processes.map((each) => each.rounds(3)));
      await migrateAll();
      await Promise.all(processes.map((each) => each.rounds(10)));
      expect(processes.flatMap(({ last }) => last.faults)).toEqual([]);
      // A process that starts now may restore its old functions; the next migration corrects them.
      processes.push(new PreviousProcess(9003));
      await Promise.all(processes.map((each) => each.rounds(3)));
      await migrateAll();
      await Promise.all(processes.map((each) => each.rounds(3)));
      const reports = await Promise.all(processes.map((each) => each.stop()));
      for (const [index, { rounds, written, queued, faults }] of reports.entries()) {
        // It drops a function to replace it, so a call at that moment fails.
        expect(faults.filter((fault) => !fault.includes('(XX000)'))).toEqual([]);
        expect(written).toBe(queued);
        const { rows } = await database.client.query(
          `SELECT count(*)::int AS count, count(DISTINCT memo)::int AS memos
           FROM plain.usage_entries WHERE user_id = $1`,
          [9001 + index],
        );
        expect(rows).toEqual([{ count: written, memos: rounds }]);
      }
    } finally {
      for (const each of processes) each.kill();
    }
    const query = async (sql: string, values: unknown[]): Promise<unknown> =>
      (await database.client.query(sql, values)).rows;
    for (const definition of INSTALLED_LEDGERS) {
      expect(await verifyTable(query, definition)).toEqual([]);
    }
  });
});
