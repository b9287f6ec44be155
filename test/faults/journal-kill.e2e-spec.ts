import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FaultDatabase } from './support/fault-database.js';
import {
  countEntries,
  drained,
  dropLedger,
  expectLaw,
  expectVerified,
  type Life,
} from './support/journal-entries.js';
import { buildJournalProgram, JournalProcess } from './support/journal-process.js';
import { Seed } from './support/seed.js';

/** Kills a sync mode; `npm run soak -- journal` draws more. */
const KILLS = Number(process.env['LEDGER_JOURNAL_KILLS'] ?? 5);
/** A file for what was found, as JSON. */
const COUNTS = process.env['LEDGER_SOAK_COUNTS'];
const RATE = 20_000;
/** Numbers of entries that a life may take. */
const NUMBERS = 1_000_000;
/** What may be the matter with the database: `away` from before the start until after the kill. */
const WEATHERS = ['up', 'away', 'locked', 'killed'] as const;

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
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-kill-'));
  await dropLedger(database);
});
afterEach(async () => {
  await child?.kill();
  await rm(dir, { recursive: true, force: true });
});

function start(sync: string, first: number, rate: number): JournalProcess {
  const journalDir = join(dir, 'journal');
  const own = { program, databaseUrl: database.url, journalDir, spillDir: dir };
  return new JournalProcess({ ...own, sync, first, rate });
}

/** Spoils the database of a process that writes. @returns what mends it */
async function spoil(weather: 'up' | 'locked' | 'killed'): Promise<() => Promise<void>> {
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

/** One life under load, killed after a time that is drawn. @returns the process, which is gone */
async function liveAndDie(
  sync: string,
  first: number,
  weather: (typeof WEATHERS)[number],
  ms: number,
): Promise<JournalProcess> {
  if (weather === 'away') await database.kill();
  child = start(sync, first, RATE);
  await child.says(/^ready/);
  let mend = (): Promise<void> => database.restart();
  if (weather === 'away') await child.hasStats('its run', () => true);
  else {
    await child.hasStats('a first batch', ({ written }) => written > 0);
    mend = await spoil(weather);
  }
  await child.isDurable(2000);
  await pause(ms);
  await child.kill();
  expect(child.refusals).toEqual([]);
  await mend();
  return child;
}

describe('a process that is killed', () => {
  it.each(['turn', 'entry', 'power'])(
    'loses no durable entry, and writes none twice (journalSync %s)',
    async (sync) => {
      const seed = Seed.print(`journal kill, journalSync ${sync}`);
      const lives = new Map<string, Life>();
      const offset = seed.integer(0, WEATHERS.length - 1);
      for (let kill = 0; kill < KILLS; kill++) {
        const weather = WEATHERS[(offset + kill) % WEATHERS.length]!;
        const ms = seed.integer(0, 500);
        const { run, first, durable } = await liveAndDie(sync, 1 + kill * NUMBERS, weather, ms);
        lives.set(run, { first, durable });
      }
      child = start(sync, 1 + KILLS * NUMBERS, 0);
      await child.says(/^ready/);
      await drained(join(dir, 'journal'));
      const query = database.sql.bind(database);
      const counts = await countEntries(query, [...lives.values()]);
      if (COUNTS !== undefined) await writeFile(COUNTS, JSON.stringify({ done: KILLS, ...counts }));
      expect(counts).toMatchObject({ lost: 0, twice: 0 });
      await expectLaw(child);
      expect(child.stats!.recovered).toBeGreaterThan(0);
      expect(child.stats!.journal).toMatchObject({ damaged: 0 });
      await expectVerified(database.url, dir, lives);
    },
    60_000 + KILLS * 20_000,
  );
});
