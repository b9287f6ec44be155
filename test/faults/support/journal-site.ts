import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { expect } from 'vitest';
import type { FaultDatabase } from './fault-database.js';
import { countEntries, expectVerified, type EntryCounts, type Life } from './journal-entries.js';
import { JournalProcess } from './journal-process.js';

/** Numbers of entries that one process may take. */
const NUMBERS = 1_000_000;
let sites = 0;

/** How a process of a site is started. */
export interface SiteProcessOptions {
  /** Entries a second; default 0: it only adopts. */
  readonly rate?: number;
  /** Command and arguments that run it, as `unshare` does. */
  readonly inside?: readonly string[];
}

/** A database and a journal of one test's own, and the processes that use them. */
export class JournalSite {
  /** Of all processes that recorded. */
  readonly #recorders: JournalProcess[] = [];
  readonly #processes: JournalProcess[] = [];
  readonly #clients: pg.Client[] = [];
  #processCount = 0;

  private constructor(
    private readonly program: string,
    readonly url: string,
    private readonly dir: string,
  ) {}

  /** @param shared site whose folder this one uses, with a separate database; default: a new folder */
  static async make(
    server: FaultDatabase,
    program: string,
    shared?: JournalSite,
  ): Promise<JournalSite> {
    const name = `site_${++sites}`;
    await server.sql(`CREATE DATABASE ${name}`);
    const url = new URL(server.url);
    url.pathname = `/${name}`;
    const dir = shared?.dir ?? (await mkdtemp(join(tmpdir(), 'ledger-journal-site-')));
    return new JournalSite(program, url.href, dir);
  }

  get folder(): string {
    return join(this.dir, 'journal', 'default');
  }

  /** Names of the runs' folders, in order. */
  async folders(): Promise<string[]> {
    return (await readdir(this.folder).catch(() => [])).sort();
  }

  /** Waits for the folders to be as wanted. */
  async until(isSo: (names: string[]) => boolean): Promise<void> {
    while (!isSo(await this.folders())) await pause(20);
  }

  /** @returns what the folder's record says of the process that it belongs to */
  async authorOf(name: string): Promise<{ pid: number; host: string }> {
    const text = await readFile(join(this.folder, name, 'owner.json'), 'utf8');
    return (JSON.parse(text) as { author: { pid: number; host: string } }).author;
  }

  start({ rate = 0, inside = [] }: SiteProcessOptions = {}): JournalProcess {
    const { program, url, dir } = this;
    const first = 1 + NUMBERS * this.#processCount++;
    const own = { program, databaseUrl: url, journalDir: join(dir, 'journal'), spillDir: dir };
    const app = new JournalProcess({ ...own, sync: 'turn', first, rate, inside });
    this.#processes.push(app);
    if (rate > 0) this.#recorders.push(app);
    return app;
  }

  /** A process with entries on file that are not in the table. @returns it, and what opens the table again */
  async startLocked(options: SiteProcessOptions): Promise<[JournalProcess, () => Promise<void>]> {
    const app = this.start(options);
    await app.hasStats('a first batch', ({ written }) => written > 0);
    const unlock = await this.lock();
    await app.isDurable(2000);
    return [app, unlock];
  }

  /** Nobody can write into the table, though all can read it, until the call that is returned. */
  async lock(): Promise<() => Promise<void>> {
    const client = await this.#connect();
    await client.query('BEGIN; LOCK TABLE usage_entries IN EXCLUSIVE MODE');
    return () => client.end();
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url });
    client.on('error', () => undefined);
    await client.connect();
    this.#clients.push(client);
    return client;
  }

  async sql<T extends object>(sql: string): Promise<T[]> {
    const client = await this.#connect();
    const { rows } = await client.query<T>(sql);
    await client.end();
    return rows;
  }

  /** @param of whose entries; one that still records has some under way. Default: all of the site */
  count(of: readonly JournalProcess[] = this.#recorders): Promise<EntryCounts> {
    const lives: Life[] = of.map(({ first, durable }) => ({ first, durable }));
    return countEntries((sql) => this.sql(sql), lives);
  }

  /** Asserts that every durable entry of all processes is in the table once, and that `verify` agrees. */
  async expectNothingLost(): Promise<void> {
    expect(this.#recorders.flatMap(({ refusals }) => refusals)).toEqual([]);
    expect(await this.count()).toMatchObject({ lost: 0, twice: 0 });
    const byRun = this.#recorders.map(
      ({ run, first, durable }) => [run, { first, durable }] as const,
    );
    await expectVerified(this.url, this.dir, new Map(byRun));
  }

  /** What all processes said, and which folders there are, for a test that failed. */
  async describe(): Promise<string> {
    const said = this.#processes.map(({ run, durable, stats, lines }) =>
      [`run ${run}, durable ${durable}, ${JSON.stringify(stats)}`, ...lines.slice(-20)].join(
        '\n  ',
      ),
    );
    return [...said, (await this.folders()).join(' ')].join('\n');
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#processes.map((app) => app.kill()));
    await Promise.all(this.#clients.map((client) => client.end().catch(() => undefined)));
    await rm(this.dir, { recursive: true, force: true });
  }
}
