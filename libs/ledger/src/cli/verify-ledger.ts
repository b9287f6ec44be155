import { basename } from 'node:path';
import { systemClock } from '../clock/clock.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { isSegment } from '../files/file-names.js';
import { isJournalFile } from '../journal/folder-names.js';
import type { PgSession } from '../postgres/pg-session.js';
import { readUuid } from '../codec/uuid.js';
import type { CommandDatabase } from './command-database.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { escapeInLine } from './escape-controls.js';
import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { readSetAsideFile } from './read-set-aside-file.js';
import { readStream } from './read-stream.js';
import { readSegmentFile } from './replay-segment.js';
import { RunTally, type FoundIn, type RunReport } from './run-tally.js';
import { fileErrorCode } from './set-aside-files.js';

/** Rows that are read at once. */
const FETCH_ROWS = 10_000;

/** What `verify` looks at. @internal */
export interface VerifyScope {
  /** Half-open, by `created_at`; undefined: no bound. */
  readonly from: Date | undefined;
  readonly to: Date | undefined;
  /** Entries written within this time before now are too young: their neighbours may be in flight. */
  readonly graceMs: number;
  /** Milliseconds since 1970 before any look: what was set aside or written since is too young as well. */
  readonly startedAt: number;
  /** Files of spilled entries and dead letters. */
  readonly files: readonly string[];
  /** With messages that wait; undefined: there is none, or it was not named. */
  readonly stream?: LedgerStream | undefined;
}

/** What `verify` found. @internal */
export interface VerifyReport {
  /** Oldest first. */
  readonly runs: readonly RunReport[];
  /** Entries in the table that belong to no run. */
  readonly withoutRun: number;
  /** Lines of files that could not be read. */
  readonly unreadable: number;
  readonly hasDeadLetterTable: boolean;
  /** Functions and triggers of the database that are not as the migrations make them. */
  readonly faults: readonly StoredFault[];
}

/** A function or trigger that is missing, disabled or foreign. @internal */
export interface StoredFault {
  readonly name: string;
  readonly problem: string;
  readonly remedy: string;
}

/** An entry that was set aside, by where it was found. */
interface SetAside {
  readonly uuid: string;
  readonly foundIn: FoundIn;
  /** Entries before it may be in flight. */
  readonly isYoung: boolean;
}

/**
 * Finds what each run queued and what became of it, by the run and sequence in the uuids alone.
 *
 * @throws CommandError if a file can't be read; else what the session throws
 * @internal
 */
export async function verifyLedger(
  database: CommandDatabase,
  scope: VerifyScope,
  output: CommandOutput,
): Promise<Omit<VerifyReport, 'faults'>> {
  // First: what a replay moves from a file into the table meanwhile is seen twice, not never.
  const { entries, unreadable } = await readFiles(scope, database.definition, output);
  // Behind the files, from which a gateway publishes, and before the table, into which a writer writes.
  const streamed = await readMessages(scope, output);
  // One snapshot, so that a letter that is replayed meanwhile is on one side or the other.
  const found = await database.use((session) =>
    session.transaction(
      () => readRuns(session, { database, scope, entries: [...entries, ...streamed.entries] }),
      {
        isolation: 'REPEATABLE READ',
        isReadOnly: true,
      },
    ),
  );
  return { ...found, unreadable: unreadable + streamed.unreadable };
}

async function readRuns(
  session: PgSession,
  {
    database,
    scope,
    entries,
  }: { database: CommandDatabase; scope: VerifyScope; entries: readonly SetAside[] },
): Promise<Pick<VerifyReport, 'runs' | 'withoutRun' | 'hasDeadLetterTable'>> {
  const reader = new PeriodReader(session, database, scope);
  const letters = await readLetters(session, database, scope);
  const tally = new RunTally(scope.from !== undefined || scope.to !== undefined);
  await reader.eachInside((uuid, isYoung) => tally.add(uuid, 'table', isYoung));
  const setAside = [...entries, ...(letters ?? [])];
  const inside = setAside.filter(({ uuid }) => isInside(uuid, scope));
  for (const { uuid, foundIn, isYoung } of inside) tally.add(uuid, foundIn, isYoung);
  if (reader.hasOutside && tally.report().some(({ missing }) => missing > 0)) {
    for (const { uuid } of setAside) if (!isInside(uuid, scope)) tally.addOutside(uuid);
    await reader.eachOutside((uuid) => tally.addOutside(uuid));
  }
  const runs = tally.report();
  const { withoutRun } = tally;
  return { runs, withoutRun, hasDeadLetterTable: letters !== undefined };
}

async function readFiles(
  scope: VerifyScope,
  definition: LedgerTable,
  output: CommandOutput,
): Promise<{ entries: SetAside[]; unreadable: number }> {
  const entries: SetAside[] = [];
  let unreadable = 0;
  for (const path of scope.files) {
    const isJournal = isJournalFile(basename(path));
    const read = isSegment(path) ? readRows(path, definition, isJournal) : readLines(path, scope);
    for await (const found of named(path, read)) {
      if (typeof found === 'object') {
        entries.push(found);
        continue;
      }
      unreadable++;
      output.warn(`${escapeInLine(path)}: ${found}`);
    }
  }
  return { entries, unreadable };
}

async function readMessages(
  scope: VerifyScope,
  output: CommandOutput,
): Promise<{ entries: SetAside[]; unreadable: number }> {
  const entries: SetAside[] = [];
  let unreadable = 0;
  const { stream } = scope;
  if (stream === undefined) return { entries, unreadable };
  for await (const found of readStream(stream)) {
    if ('uuids' in found) {
      const isYoung = isYoungAt(found.publishedAt ?? 0, scope);
      for (const uuid of found.uuids) entries.push({ uuid, foundIn: 'stream', isYoung });
      continue;
    }
    unreadable++;
    output.warn(`a message of the stream can't be read: ${found.fault}`);
  }
  return { entries, unreadable };
}

/** What was set aside, or what is wrong there. */
async function* readLines(
  path: string,
  scope: VerifyScope,
): AsyncGenerator<SetAside | string, void> {
  for await (const read of readSetAsideFile(path)) {
    if (read.kind !== 'line') {
      yield `line ${read.number} can't be read, skipped`;
      continue;
    }
    const { uuid, reason, setAsideAt } = read.line;
    // An invalid entry was never queued.
    if (typeof uuid !== 'string' || reason === 'invalid') continue;
    // The process of a spilled entry has ended, so nothing of it is in flight.
    if (reason === 'spilled') yield { uuid, foundIn: 'spills', isYoung: false };
    else yield { uuid, foundIn: 'deadLetters', isYoung: isYoungAt(Date.parse(setAsideAt), scope) };
  }
}

async function* readRows(
  path: string,
  definition: LedgerTable,
  isJournal: boolean,
): AsyncGenerator<SetAside | string, void> {
  for await (const read of readSegmentFile(path, definition)) {
    // Its process was stopped there, or is writing just now.
    if (isJournal && read.kind === 'half') continue;
    yield read.kind === 'entry'
      ? { uuid: read.entry.uuid, foundIn: 'spills', isYoung: false }
      : read.why;
  }
}

/** A file that can't be read may hold what would count as missing: it ends the proof. */
async function* named<T>(path: string, read: AsyncIterable<T>): AsyncGenerator<T, void> {
  try {
    yield* read;
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === undefined) throw error;
    // A journal unlinks a file once its rows are settled, and the table is read behind the files.
    if (code === 'ENOENT' && isJournalFile(basename(path))) return;
    const hint = code === 'ENOENT' ? ', it was moved meanwhile: run it again' : '';
    throw new CommandError(`${escapeInLine(path)} can't be read: ${code}${hint}`);
  }
}

/** @returns undefined if there is no such table */
async function readLetters(
  session: PgSession,
  { names }: CommandDatabase,
  scope: VerifyScope,
): Promise<SetAside[] | undefined> {
  const [found] = await session.rows('SELECT to_regclass($1)::text AS name', [
    names.sqlDeadLetters,
  ]);
  if (found?.['name'] == null) return undefined;
  const at = 'extract(epoch FROM dead_lettered_at)::float8 * 1000';
  const sql = `SELECT uuid, ${at} AS at FROM ${names.sqlDeadLetters}
    WHERE uuid IS NOT NULL AND reason <> 'invalid'`;
  const rows = await session.rows<{ uuid: string; at: number }>(sql);
  return rows.map(({ uuid, at }) => {
    return { uuid, foundIn: 'deadLetters', isYoung: isYoungAt(Number(at), scope) };
  });
}

/** @param at milliseconds since 1970 */
function isYoungAt(at: number, { startedAt, graceMs }: VerifyScope): boolean {
  return at > startedAt - graceMs;
}

function isInside(uuid: string, { from, to }: VerifyScope): boolean {
  const createdAt = readUuid(uuid)?.createdAt;
  if (createdAt === undefined) return from === undefined && to === undefined;
  return (from === undefined || createdAt >= +from) && (to === undefined || createdAt < +to);
}

/** Reads the table by a cursor, so that its size does not matter. */
class PeriodReader {
  readonly #session: PgSession;
  readonly #database: CommandDatabase;
  readonly #scope: VerifyScope;
  /** Rows that are younger in the transaction, by the server's clock alone, are too young. */
  readonly #youngMs: number;

  /** @param session whose transaction has just begun */
  constructor(session: PgSession, database: CommandDatabase, scope: VerifyScope) {
    this.#session = session;
    this.#database = database;
    this.#scope = scope;
    this.#youngMs = scope.graceMs + Math.max(0, systemClock.now() - scope.startedAt);
  }

  /** Whether the table may hold entries outside the period. */
  get hasOutside(): boolean {
    return this.#scope.from !== undefined || this.#scope.to !== undefined;
  }

  eachInside(see: (uuid: string, isYoung: boolean) => void): Promise<void> {
    return this.#each(this.#period(), see);
  }

  eachOutside(see: (uuid: string) => void): Promise<void> {
    return this.#each(`NOT (${this.#period()})`, see);
  }

  /** Texts of Dates hold no quotes. */
  #period(): string {
    const { from, to } = this.#scope;
    const bounds = [
      ...(from === undefined ? [] : [`created_at >= '${from.toISOString()}'`]),
      ...(to === undefined ? [] : [`created_at < '${to.toISOString()}'`]),
    ];
    return bounds.length === 0 ? 'true' : bounds.join(' AND ');
  }

  async #each(where: string, see: (uuid: string, isYoung: boolean) => void): Promise<void> {
    const ageMs = 'extract(epoch FROM now() - written_at) * 1000';
    const sql = `SELECT uuid, ${ageMs} < ${this.#youngMs} AS young
      FROM ${this.#database.names.sqlEntries} WHERE ${where}`;
    for await (const page of this.#session.pages(sql, [], FETCH_ROWS)) {
      // A boolean as the server spells it.
      for (const [uuid, young] of page) see(uuid!, young === 't');
    }
  }
}
