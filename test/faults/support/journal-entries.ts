import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { verify } from '../../../libs/ledger/src/cli/verify.command.js';
import { assertConservation } from '../../../libs/ledger/src/testing/ledger-under-test.js';
import type { FaultDatabase } from './fault-database.js';
import type { JournalProcess } from './journal-process.js';
import { QUIET } from './nothing-lost.js';

/** One process's entries: those from `first` until `durable` were acknowledged. */
export interface Life {
  readonly first: number;
  readonly durable: number;
}

/** What became of the entries of all lives. */
export interface EntryCounts {
  /** In the table. */
  readonly entries: number;
  /** Acknowledged as durable, and not in the table. */
  readonly lost: number;
  /** More rows than entries. */
  readonly twice: number;
}

/** Removes the ledger's tables, so that the next test begins with none. */
export async function dropLedger(database: FaultDatabase): Promise<void> {
  await database.sql(
    'DROP TABLE IF EXISTS usage_entries, usage_entries_migrations, usage_entries_identity CASCADE',
  );
}

/** Counts entries by their numbers, which are users in the table. */
export async function countEntries(
  query: FaultDatabase['sql'],
  lives: readonly Life[],
): Promise<EntryCounts> {
  const values = lives.map(({ first, durable }) => `(${first}, ${durable})`).join(', ');
  const [found] = await query<{ rows: number; entries: number; lost: number }>(`
    WITH lives (first, durable) AS (VALUES ${values}),
      kept AS (
        SELECT sum(durable - first) - sum((
          SELECT count(DISTINCT user_id) FROM usage_entries WHERE user_id >= first AND user_id < durable
        )) AS lost
        FROM lives
      )
    SELECT count(*)::int AS rows, count(DISTINCT user_id)::int AS entries,
      (SELECT lost FROM kept)::int AS lost
    FROM usage_entries`);
  const { rows, entries, lost } = found!;
  return { entries, lost, twice: rows - entries };
}

/** Waits until no folder of a ledger's runs is left: all their rows are settled. */
export async function drained(journalDir: string): Promise<void> {
  while ((await readdir(join(journalDir, 'default')).catch(() => [])).length > 0) await pause(50);
}

/** Asserts the law of a process that has nothing left to do. */
export async function expectLaw(app: JournalProcess): Promise<void> {
  await app.hasStats('a ledger at rest', ({ depth, inFlight }) => depth === 0 && inFlight === 0);
  assertConservation(app.stats!);
}

/**
 * Asserts that `verify` finds no hole before the last entry that is known to be on file: an entry of the
 * turn in which its process was killed may be nowhere, though one after it is in the table.
 */
export async function expectVerified(
  databaseUrl: string,
  dir: string,
  lives: ReadonlyMap<string, Life>,
): Promise<void> {
  const at = { databaseUrl, journalDir: join(dir, 'journal'), files: [dir], grace: 0 };
  const { runs, faults } = await verify(at, QUIET);
  expect(faults).toEqual([]);
  for (const { run, missingRanges } of runs) {
    const life = lives.get(run);
    const onFile = life === undefined ? Infinity : life.durable - life.first;
    expect(
      missingRanges.filter(({ from }) => from < onFile),
      `missing of run ${run}`,
    ).toEqual([]);
  }
}
