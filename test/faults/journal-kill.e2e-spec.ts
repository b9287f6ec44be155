import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { transpileFolder } from '../support/transpile.js';
import { FaultDatabase } from './support/fault-database.js';
import { Seed } from './support/seed.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = fileURLToPath(new URL('./support/journal', import.meta.url));
/** Kills a sync mode; the soak draws more. */
const KILLS = Number(process.env['LEDGER_JOURNAL_KILLS'] ?? 5);
const RATE = 20_000;
/** What may be the matter with the database while the process is killed. */
const WEATHERS = ['up', 'locked', 'killed'] as const;

let database: FaultDatabase;
let program: string;
let dir: string;
let child: App | undefined;

beforeAll(async () => {
  await promisify(execFile)(process.execPath, ['scripts/build-if-stale.js'], { cwd: ROOT });
  program = fileURLToPath(new URL('main.js', await transpileFolder(FOLDER)));
  database = await FaultDatabase.start();
});
afterAll(() => database?.dispose());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-kill-'));
  await database.sql(
    'DROP TABLE IF EXISTS usage_entries, usage_entries_migrations, usage_entries_identity CASCADE',
  );
});
afterEach(async () => {
  await child?.kill();
  await rm(dir, { recursive: true, force: true });
});

/** An application of one life. */
class App {
  /** All entries before this one were acknowledged as durable. */
  durable: number;
  /** Lines that it said. */
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #gone: Promise<void>;

  constructor(sync: string, first: number, rate: number) {
    this.durable = first;
    const { PATH, HOME, TMPDIR } = process.env;
    const own = { DATABASE: database.url, JOURNAL_DIR: join(dir, 'journal'), SPILL_DIR: dir };
    this.#child = spawn(process.execPath, [program], {
      cwd: ROOT,
      env: { PATH, HOME, TMPDIR, ...own, SYNC: sync, FIRST: String(first), RATE: String(rate) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#gone = new Promise((resolve) => this.#child.once('close', () => resolve()));
    let rest = '';
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) this.#hear(line);
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => this.lines.push(text));
  }

  #hear(line: string): void {
    const durable = /^durable (\d+)$/.exec(line)?.[1];
    if (durable === undefined) this.lines.push(line);
    else this.durable = Number(durable);
  }

  async says(what: RegExp): Promise<void> {
    while (!this.lines.some((line) => what.test(line))) await pause(20);
  }

  async isDurable(count: number): Promise<void> {
    while (this.durable < count) await pause(5);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone;
  }
}

/** Where the database is while the process is killed. @returns what mends it */
async function spoil(weather: (typeof WEATHERS)[number]): Promise<() => Promise<void>> {
  if (weather === 'up') return async () => undefined;
  if (weather === 'killed') {
    await database.kill();
    return () => database.restart();
  }
  const holder = database.client();
  holder.on('error', () => undefined);
  await holder.connect();
  await holder.query('BEGIN; LOCK TABLE usage_entries');
  return () => holder.end();
}

/** Every folder is of a run that has ended, and all its rows are settled. */
async function isDrained(): Promise<boolean> {
  const folders = await readdir(join(dir, 'journal', 'default')).catch(() => []);
  return folders.length === 0;
}

describe('a process that is killed', () => {
  const seed = Seed.print('journal kill');

  it.each(['turn', 'entry', 'power'])(
    'loses no durable entry, and writes none twice (journalSync %s)',
    async (sync) => {
      let first = 1;
      const durable: [number, number][] = [];
      for (let kill = 0; kill < KILLS; kill++) {
        child = new App(sync, first, RATE);
        await child.says(/^ready/);
        // The first life makes the table.
        await child.says(/"written":[1-9]/);
        await child.isDurable(first + 2000);
        const weather = seed.pick(WEATHERS);
        const mend = await spoil(weather);
        await pause(seed.integer(0, 500));
        await child.kill();
        await pause(20);
        durable.push([first, child.durable]);
        expect(child.lines.filter((line) => /^(refused|failed)/.test(line))).toEqual([]);
        await mend();
        // Numbers of two lives must not meet.
        first += 1_000_000;
      }
      child = new App(sync, first, 0);
      await child.says(/^ready/);
      while (!(await isDrained())) await pause(100);
      const rows = await database.sql<{ n: number; u: number }>(
        'SELECT count(*)::int AS n, count(DISTINCT user_id)::int AS u FROM usage_entries',
      );
      expect(rows[0]!.u, 'none twice').toBe(rows[0]!.n);
      for (const [from, until] of durable) {
        const [found] = await database.sql<{ n: number }>(
          `SELECT count(*)::int AS n FROM usage_entries WHERE user_id >= ${from} AND user_id < ${until}`,
        );
        expect(found!.n, `durable of ${from} to ${until}`).toBe(until - from);
      }
    },
  );
});
