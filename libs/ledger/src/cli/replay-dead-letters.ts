import { readPgError } from '../postgres/read-pg-error.js';
import { readStoredEntry } from '../sink/escaped-entry.js';
import type { CommandDatabase } from './command-database.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import type { ReplayReport } from './replay-report.js';
import type { Fate, Replayer } from './replayer.js';

const PAGE_LETTERS = 500;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';
const NO_PERMISSION = '42501';

interface Letter {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly queuedAt: number;
  readonly entry: Record<string, unknown>;
}

/** What a replay of the dead letter table is made of. */
export interface ReplayLettersParts {
  readonly database: CommandDatabase;
  readonly replayer: Replayer;
  readonly report: ReplayReport;
  readonly output: CommandOutput;
  readonly isDryRun: boolean;
}

/**
 * Replays the table of dead letters, and deletes those whose entry is now in the ledger's table. A
 * role without the right to delete can replay too: a remaining letter is skipped the next time.
 *
 * @throws CommandError if there is no such table; else what the replayer throws
 * @internal
 */
export async function replayDeadLetters(parts: ReplayLettersParts): Promise<void> {
  const { database, replayer, report, output, isDryRun } = parts;
  const progress = output.progress('dead letters', await countLetters(database));
  let mayDelete = !isDryRun;
  try {
    let after = FIRST_ID;
    for (;;) {
      const letters = await readPage(database, after);
      if (letters.length === 0) return;
      after = letters.at(-1)!.id;
      const fates = await replayer.replay(
        letters.map(({ id, queuedAt, entry }) => {
          return { entry, fallbackUuid: id, queuedAt };
        }),
      );
      for (const fate of fates) report.add(fate);
      progress.at(report.total);
      const done = letters.filter((_, index) => isInTable(fates[index]!)).map(({ id }) => id);
      if (mayDelete) mayDelete = await deleteLetters(parts, done);
    }
  } finally {
    progress.end();
  }
}

function isInTable({ outcome }: Fate): boolean {
  return outcome === 'written' || outcome === 'present';
}

async function countLetters({ query, names }: CommandDatabase): Promise<number> {
  try {
    const sql = `SELECT count(*) AS count FROM ${names.sqlDeadLetters}`;
    const [row] = (await query(sql, [])) as { count: string }[];
    return Number(row!.count);
  } catch (error) {
    throw new CommandError(`the dead letters can't be read: ${readPgError(error).text}`);
  }
}

async function readPage({ query, names }: CommandDatabase, after: string): Promise<Letter[]> {
  const sql = `SELECT id, (extract(epoch FROM queued_at) * 1000)::bigint AS queued, entry
    FROM ${names.sqlDeadLetters} WHERE id > $1 ORDER BY id LIMIT ${PAGE_LETTERS}`;
  const rows = (await query(sql, [after])) as { id: string; queued: string; entry: string }[];
  return rows.map(({ id, queued, entry }) => ({
    id,
    queuedAt: Number(queued),
    entry: readStoredEntry(JSON.parse(entry) as Record<string, unknown>),
  }));
}

/** @returns false if the role may not */
async function deleteLetters(
  { database: { query, names }, output }: ReplayLettersParts,
  ids: readonly string[],
): Promise<boolean> {
  if (ids.length === 0) return true;
  try {
    await query(`DELETE FROM ${names.sqlDeadLetters} WHERE id = ANY($1)`, [ids]);
    return true;
  } catch (error) {
    const { code, text } = readPgError(error);
    if (code !== NO_PERMISSION) throw new CommandError(`letters can't be deleted: ${text}`);
    output.warn(
      'this role may not delete rows: the dead letters stay, and the next replay skips them',
    );
    return false;
  }
}
