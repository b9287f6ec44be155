import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { CommandOutput } from '../../../libs/ledger/src/cli/command-output.js';
import { readSetAsideFile } from '../../../libs/ledger/src/cli/read-set-aside-file.js';
import { replay } from '../../../libs/ledger/src/cli/replay.command.js';
import { verify } from '../../../libs/ledger/src/cli/verify.command.js';
import { readUuid } from '../../../libs/ledger/src/codec/uuid.js';
import { isSegment } from '../../../libs/ledger/src/files/file-names.js';
import { openSegment } from '../../../libs/ledger/src/segments/read-segment.js';
import { rowsOf } from '../../../libs/ledger/src/segments/row-frame.js';
import { SegmentRows } from '../../../libs/ledger/src/segments/segment-rows.js';
import type { LedgerStats } from '../../../libs/ledger/src/ports/ledger-stats.interface.js';
import { assertConservation } from '../../../libs/ledger/src/testing/ledger-under-test.js';
import type { FaultApp, QueuedEntries } from './fault-app.js';
import type { FaultDatabase } from './fault-database.js';

const TABLE = 'usage_entries';
/** Says nothing. */
export const QUIET: CommandOutput = {
  line: () => {},
  warn: () => {},
  progress: () => ({ at: () => {}, end: () => {} }),
};

/** Where the entries are, by the names that `nameOf` gives. */
export interface Whereabouts {
  readonly table: Set<string>;
  readonly letters: Set<string>;
  readonly conflicts: Set<string>;
  readonly spills: Map<string, { mayExist: boolean }>;
}

/** Entries counted over all checks of a file, for the line that it prints at its end. */
export const tally = { checks: 0, entries: 0, lost: 0 };

/** Input of a check in addition to database and processes. */
export interface CheckOptions {
  readonly schema?: string;
  /** Entries that the server still refuses, as `replay` must find. Default 0. */
  readonly stillRefused?: number;
}

/**
 * Asserts all that must be true after a fault: the conservation law, that every queued entry is in
 * exactly the places where it may be, that `replay` brings it into the table, and that `verify`
 * misses nothing.
 *
 * @param apps all that wrote into the table since it was empty; settled, closed or killed
 */
export async function expectNothingLost(
  database: FaultDatabase,
  apps: readonly FaultApp[],
  options: CheckOptions = {},
): Promise<Whereabouts> {
  const { schema = 'faults', stillRefused = 0 } = options;
  for (const { stats, queued } of apps) if (stats && !queued.isKilled) assertSettled(stats);
  const found = await findAll(database, apps, schema);
  for (const { queued } of apps) expectKept(queued, found);
  expectNothingElse(apps, found);
  for (const name of found.letters) {
    expect(found.table.has(name) && !found.conflicts.has(name), `${name} twice`).toBe(false);
  }
  for (const [name, { mayExist }] of found.spills) {
    expect(found.table.has(name) && !mayExist, `${name} spilled and in the table`).toBe(false);
  }
  await expectVerified(database, apps, schema);
  if (found.letters.size + found.spills.size > 0) {
    await replayAll(database, apps, schema);
    const after = await findAll(database, apps, schema);
    for (const { queued } of apps) expectKept(queued, after);
    const left = [...after.letters, ...after.spills.keys()].filter((n) => !after.table.has(n));
    expect(left).toHaveLength(stillRefused);
    await expectVerified(database, apps, schema);
  }
  tally.checks++;
  tally.entries = Math.max(tally.entries, found.table.size);
  return found;
}

function assertSettled(stats: LedgerStats): void {
  assertConservation(stats);
  expect(stats).toMatchObject({ depth: 0, inFlight: 0, waiting: 0 });
}

/** An entry of a run is known by run and sequence, any other by its uuid. */
function nameOf(uuid: string): string {
  const origin = readUuid(uuid);
  return origin ? `${origin.run}/${origin.sequence}` : uuid;
}

async function findAll(
  database: FaultDatabase,
  apps: readonly FaultApp[],
  schema: string,
): Promise<Whereabouts> {
  const rows = await database.sql<Record<string, string>>(
    `SELECT uuid::text, user_id::text, prompt_tokens::text, memo FROM ${schema}.${TABLE}`,
  );
  for (const { user_id: user, prompt_tokens: tokens, memo } of rows) {
    if (Number(user) === Number(tokens) + 1 && memo?.startsWith(`memo ${tokens} `)) continue;
    throw new Error(`a row holds fields of another: ${user} ${tokens} ${memo?.slice(0, 40)}`);
  }
  const table = new Set(rows.map(({ uuid }) => nameOf(uuid!)));
  expect(table.size, 'an entry is twice in the table').toBe(rows.length);
  const letters = await database.sql<{ uuid: string; reason: string }>(
    `SELECT uuid::text, reason FROM ${schema}.${TABLE}_dead_letters`,
  );
  const found: Whereabouts = {
    table,
    letters: new Set(letters.map(({ uuid }) => nameOf(uuid))),
    conflicts: new Set(),
    spills: new Map(),
  };
  for (const { uuid, reason } of letters)
    if (reason === 'conflict') found.conflicts.add(nameOf(uuid));
  for (const { spillDir } of apps) await readFiles(spillDir, found);
  return found;
}

async function readFiles(spillDir: string, found: Whereabouts): Promise<void> {
  const names = await readdir(spillDir);
  for (const file of names.filter((each) => isSegment(each))) {
    const segment = await openSegment(join(spillDir, file));
    try {
      if (typeof segment.description === 'string') throw new Error(segment.description);
      const { columns } = segment.description;
      const rows = new SegmentRows(columns);
      for await (const part of segment.parts()) {
        if (part.kind === 'settled') continue;
        if (part.kind !== 'rows') throw new Error(part.why);
        for (const row of rowsOf(part.bytes, columns.length)) {
          found.spills.set(nameOf(rows.uuid(row)!), { mayExist: false });
        }
      }
    } finally {
      await segment.close();
    }
  }
  for (const file of names.filter((each) => each.includes('.ndjson'))) {
    for await (const read of readSetAsideFile(join(spillDir, file))) {
      if (read.kind !== 'line') continue;
      const { uuid, reason, mayExist } = read.line;
      if (uuid === null) continue;
      if (reason === 'spilled') found.spills.set(nameOf(uuid), { mayExist });
      else found.letters.add(nameOf(uuid));
    }
  }
}

function expectKept(queued: QueuedEntries, { table, letters, spills }: Whereabouts): void {
  const { run, sequenced, own, acknowledged, isKilled } = queued;
  for (const uuid of acknowledged) {
    expect(table.has(uuid), `${uuid} was said to be committed`).toBe(true);
  }
  if (isKilled) return;
  const names = [...Array.from({ length: sequenced }, (_, i) => `${run}/${i}`), ...own];
  const lost = names.filter((name) => !table.has(name) && !letters.has(name) && !spills.has(name));
  tally.lost += lost.length;
  expect(lost, 'queued and nowhere').toEqual([]);
}

function expectNothingElse(apps: readonly FaultApp[], found: Whereabouts): void {
  if (apps.some(({ queued }) => queued.isKilled)) return;
  const queued = apps.reduce((sum, each) => sum + each.queued.sequenced + each.queued.own.size, 0);
  const places = new Set([...found.table, ...found.letters, ...found.spills.keys()]);
  expect(places.size, 'entries that nobody queued').toBe(queued);
}

async function expectVerified(
  database: FaultDatabase,
  apps: readonly FaultApp[],
  schema: string,
): Promise<void> {
  const files = apps.map(({ spillDir }) => spillDir);
  const at = { databaseUrl: database.url, connectionSchema: schema, files, grace: 0 };
  const { runs } = await verify(at, QUIET);
  for (const { queued } of apps) {
    const run = runs.find((each) => each.run === queued.run);
    const seen = { run: queued.run, missing: run?.missing ?? 0, ranges: run?.missingRanges ?? [] };
    // A killed process leaves holes where another of its workers was ahead; they are real losses.
    if (!queued.isKilled) expect(seen).toMatchObject({ missing: 0, ranges: [] });
    if (!queued.isKilled && queued.sequenced > 0) expect(run?.queued).toBe(queued.sequenced);
  }
}

async function replayAll(
  database: FaultDatabase,
  apps: readonly FaultApp[],
  schema: string,
): Promise<void> {
  const at = { databaseUrl: database.url, connectionSchema: schema };
  for (const { spillDir } of apps) await replay(spillDir, at, QUIET);
  await replay(undefined, { ...at, fromTable: true }, QUIET);
}
