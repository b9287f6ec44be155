import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { transpileFolder } from '../support/transpile.js';
import { FaultDatabase } from './support/fault-database.js';
import { LedgerCommand } from './support/ledger-command.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = fileURLToPath(new URL('./support/exit', import.meta.url));
const NOWHERE = 'postgres://nobody@127.0.0.1:1/nowhere';
const LEDGERS = 2;
const MILLION = 1_000_000;

let database: FaultDatabase;
let program: string;
let definition: string;
let dir: string;

beforeAll(async () => {
  await promisify(execFile)(process.execPath, ['scripts/build-if-stale.js'], { cwd: ROOT });
  const made = await transpileFolder(FOLDER);
  program = fileURLToPath(new URL('main.js', made));
  definition = fileURLToPath(new URL('billing.js', made));
  database = await FaultDatabase.start();
}, 300_000);
afterAll(() => database?.dispose());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-exits-'));
  const tables = ['usage_entries', 'billing_entries'];
  await database.sql(tables.map((name) => `DROP TABLE IF EXISTS ${name} CASCADE`).join(';'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly text: string;
}

async function run(end: string, given: Record<string, string> = {}): Promise<Ended> {
  const { PATH, HOME, TMPDIR } = process.env;
  const own = { DATABASE: database.url, SPILL_DIR: dir, COUNT: '20', MEMO: end, END: end };
  const child = spawn(process.execPath, [program], {
    cwd: ROOT,
    env: { ...{ PATH, HOME, TMPDIR }, ...own, ...given },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => (text += part));
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, text };
}

async function replay(...args: string[]): Promise<string> {
  const command = new LedgerCommand(dir, database.url);
  const { code, text } = await command.run('replay', dir, ...args);
  expect(code, text).toBe(0);
  return text;
}

async function rowsOf(table: string): Promise<number> {
  const [found] = await database.sql<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
  return found!.n;
}

/** What it left behind is written back, each ledger's by its own definition. */
async function expectAll(count: number): Promise<void> {
  await new LedgerCommand(dir, database.url).run('migrate');
  await new LedgerCommand(dir, database.url).run('migrate', '-d', definition);
  await replay();
  await replay('-d', definition);
  expect([await rowsOf('usage_entries'), await rowsOf('billing_entries')]).toEqual([count, count]);
  expect(await readdir(dir)).toEqual(['replayed']);
  // Nothing twice, though all is replayed again.
  for (const args of [[], ['-d', definition]]) {
    const command = new LedgerCommand(dir, database.url);
    const { text } = await command.run('replay', join(dir, 'replayed'), ...args);
    expect(text).toMatch(new RegExp(`replayed: 0 written, ${count} already there, 0 refused`));
  }
}

describe('a process that ends without a shutdown', { timeout: 120_000 }, () => {
  it.each([
    ['process.exit()', 'exit', 3],
    ['an exception that nobody catches', 'throw', 1],
    ['a rejection that nobody handles', 'reject', 1],
  ])('by %s loses no entry, of ledgers of both formats, by one listener', async (_, end, code) => {
    const ended = await run(end);
    expect(ended.code, ended.text).toBe(code);
    expect(ended.text).toContain('exit listeners: 1\n');
    const line = /the process exits with 20 entries not written: spilled to .+\.wal/g;
    expect(ended.text.match(line)).toHaveLength(LEDGERS);
    expect((await readdir(dir)).every((name) => name.endsWith('.wal'))).toBe(true);
    await expectAll(20);
  });

  it('with nothing left to do, while the database is away, loses no entry', async () => {
    const ended = await run('nothing', { DATABASE: NOWHERE });
    expect(ended.code, ended.text).toBe(0);
    await expectAll(20);
  });

  it('during a shutdown loses no entry and writes none twice', async () => {
    const ended = await run('close and exit');
    expect(ended.code, ended.text).toBe(3);
    await expectAll(20);
  });

  it('in a worker thread loses no entry of the thread, nor of the main one', async () => {
    const ended = await run('worker');
    expect(ended.code, ended.text).toBe(3);
    await expectAll(40);
  });

  it('writes a million entries within a second of processor time', async () => {
    const ended = await run('million', { DATABASE: NOWHERE, COUNT: `${MILLION / LEDGERS}` });
    expect(ended.code, ended.text).toBe(3);
    const [, ms] = /exit took (\d+) ms of processor time/.exec(ended.text) ?? [];
    expect(Number(ms)).toBeGreaterThan(0);
    expect(Number(ms)).toBeLessThan(1000);
    const command = new LedgerCommand(dir, database.url);
    const { text } = await command.run('replay', dir, '--print');
    expect(text.match(/"userId"/g)).toHaveLength(MILLION / LEDGERS);
  });
});

describe('a process that goes on after its shutdown', () => {
  it('keeps what it records then, and takes the listener away before', async () => {
    const ended = await run('late');
    expect(ended.code, ended.text).toBe(0);
    // Of the file that is open at that moment; it goes with it.
    expect(ended.text).toContain('exit listeners after the end: 1\n');
    const line = /WARNING: sealed, spilling entry \(20 spilled in the last .+\.wal/g;
    expect(ended.text.match(line)).toHaveLength(LEDGERS);
    expect(await rowsOf('usage_entries')).toBe(20);
    await replay();
    await replay('-d', definition);
    expect([await rowsOf('usage_entries'), await rowsOf('billing_entries')]).toEqual([40, 40]);
  });

  it('leaves nothing behind a clean one', async () => {
    const ended = await run('late', { COUNT: '0' });
    expect(ended.text).toContain('exit listeners after the end: 0\n');
    expect(await readdir(dir)).toEqual([]);
  });
});
