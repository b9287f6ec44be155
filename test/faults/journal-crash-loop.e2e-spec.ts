import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FaultDatabase } from './support/fault-database.js';
import {
  countEntries,
  drained,
  expectLaw,
  expectVerified,
  type Life,
} from './support/journal-entries.js';
import { buildJournalProgram, JournalProcess } from './support/journal-process.js';

const MIB = 1_048_576;
const MAX_BYTES = 64 * MIB;
/** 16 MB/s: a life fills the journal in a few seconds. */
const RATE = 4000;
const MEMO_BYTES = 4000;
const NUMBERS = 1_000_000;
const LIVES = 3;

let database: FaultDatabase;
let program: string;
let dir: string;
let child: JournalProcess | undefined;

beforeAll(async () => {
  program = await buildJournalProgram();
  database = await FaultDatabase.start();
}, 300_000);
afterAll(() => database?.dispose());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-crash-loop-'));
});
afterEach(async () => {
  await child?.kill();
  await rm(dir, { recursive: true, force: true });
});

function start(life: number, rate: number): JournalProcess {
  const own = { program, databaseUrl: database.url, journalDir: join(dir, 'journal') };
  const size = { maxBytes: MAX_BYTES, memoBytes: MEMO_BYTES };
  const first = 1 + life * NUMBERS;
  return new JournalProcess({ ...own, ...size, spillDir: dir, sync: 'turn', first, rate });
}

/** Bytes of all files below the journal's folder. */
async function journalBytes(): Promise<number> {
  const names = await readdir(join(dir, 'journal'), { recursive: true });
  const sizes = await Promise.all(names.map((name) => stat(join(dir, 'journal', name))));
  return sizes.reduce((sum, each) => sum + (each.isFile() ? each.size : 0), 0);
}

describe('a process that is killed again and again while the database is away', () => {
  it('fills journalMaxBytes once, not once a life, and loses no durable entry', async () => {
    const lives = new Map<string, Life>();
    await database.kill();
    for (let life = 0; life < LIVES; life++) {
      child = start(life, RATE);
      await child.hasStats('a journal', ({ journal }) => journal !== null);
      if (life > 0) expect(child.stats!.journal!.earlierBytes).toBeGreaterThan(16 * MIB);
      await child.hasStats('no room', ({ saturation, journal }) => {
        return saturation === 1 || journal?.state === 'degraded';
      });
      await child.kill();
      lives.set(child.run, { first: child.first, durable: child.durable });
    }
    expect(await journalBytes()).toBeLessThan(MAX_BYTES);
    await database.restart();
    child = start(LIVES, 0);
    await drained(join(dir, 'journal'));
    const counts = await countEntries(database.sql.bind(database), [...lives.values()]);
    expect(counts).toMatchObject({ lost: 0, twice: 0 });
    await expectLaw(child);
    expect(child.stats!.journal).toMatchObject({ earlierBytes: 0, damaged: 0 });
    await expectVerified(database.url, dir, lives);
  }, 120_000);
});
