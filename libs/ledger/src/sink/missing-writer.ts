import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import type { RowBatch, WriteResult } from '../ports/ledger-sink.interface.js';
import { CommandStatement } from '../postgres/command-statement.js';
import { StatementError } from '../postgres/pg-lease.js';
import { settingsCommand } from '../postgres/transaction-settings.js';
import { arraySource } from './array-source.js';
import { columnArrays, rowTypes } from './column-arrays.js';
import { splitCopies } from './split-copies.js';
import { PickedRows } from './picked-rows.js';
import type { BatchAttempt } from './strategy-writer.interface.js';
import { compareSql, findSameSql, readPositions, type RowSource } from './table-sql.js';

/** Options for rows that may exist already. @internal */
export interface MissingOptions {
  /** Columns of the primary key. */
  readonly key: readonly string[];
  /** Writes new rows. @throws StatementError */
  readonly writeNew: (attempt: BatchAttempt) => Promise<WriteResult>;
  /** The batch may contain several rows with one key. */
  readonly hasCopies: boolean;
}

/** Rows of a batch, compared with the table. */
interface Compared {
  /** Duplicates and conflicts; nothing is written yet. */
  readonly result: WriteResult;
  /** Indexes of the other rows, from 0, ascending. */
  readonly missing: readonly number[];
}

/**
 * Writes rows that may exist already, for both strategies. It first reads which exist and whether
 * their content is equal, then writes the others like new rows. Another writer may insert one of
 * them in between. The server then answers 23505, nothing was written, and the caller begins again.
 *
 * It needs no ON CONFLICT, which a table with rules refuses, no RETURNING, which a policy may
 * refuse, and no temporary table. Batches that exist completely, as after a lost answer or at a
 * second replay, are only read.
 *
 * @internal
 */
export class MissingWriter {
  readonly #types: readonly ColumnType[];
  readonly #source: RowSource;

  constructor(table: LedgerTable) {
    this.#types = rowTypes(table);
    this.#source = arraySource(table);
  }

  /**
   * Writes the missing rows, and compares the others.
   *
   * @throws StatementError; its row number counts the rows of the batch
   */
  async write(attempt: BatchAttempt, options: MissingOptions): Promise<WriteResult> {
    const { key, writeNew, hasCopies } = options;
    const all = Array.from({ length: attempt.batch.count }, (_, index) => index);
    const { missing, result } = await this.#compare(attempt, all, key);
    if (missing.length === 0) return result;
    if (!hasCopies) return addResults(result, await writePicked(attempt, missing, writeNew));
    const { firsts, copies } = splitCopies(attempt.batch, missing, this.#fieldsOf(key));
    const written = addResults(result, await writePicked(attempt, firsts, writeNew));
    if (copies.length === 0) return written;
    return addResults(written, await this.#compareCopies(attempt, copies, key));
  }

  /** Compares rows whose key was inserted by the same batch. */
  async #compareCopies(
    attempt: BatchAttempt,
    copies: readonly number[],
    key: readonly string[],
  ): Promise<WriteResult> {
    try {
      const { missing, result } = await this.#compare(attempt, copies, key);
      // The first row of the key was accepted but not stored, or stored elsewhere; this one would
      // be too.
      return { ...result, written: missing.length, notStored: missing.length };
    } catch (error) {
      // The rows before it are committed.
      throw error instanceof StatementError ? new StatementError(error.failure, false) : error;
    }
  }

  async #compare(
    { batch, session, sqlTable }: BatchAttempt,
    indexes: readonly number[],
    key: readonly string[],
  ): Promise<Compared> {
    const rows = indexes.length === batch.count ? batch : new PickedRows(batch, indexes);
    const parameters = await columnArrays(rows, this.#types);
    const sql = compareSql(sqlTable, this.#source, key);
    const commands = [settingsCommand(session.deadline, false), { sql, parameters }];
    const results = await session.run(new CommandStatement(commands));
    const [same = [], other = []] = readPositions(results[1]);
    const isThere = new Set([...same, ...other]);
    const toIndex = (position: number): number => indexes[position]!;
    return {
      result: { written: 0, duplicates: same.map(toIndex), conflicts: other.map(toIndex) },
      missing: indexes.filter((_, position) => !isThere.has(position)),
    };
  }

  #fieldsOf(key: readonly string[]): number[] {
    return key.map((name) => this.#source.columns.indexOf(name)).filter((field) => field >= 0);
  }

  /** @returns indexes of the rows that exist with equal content @throws StatementError */
  async findSame({ session, sqlTable }: BatchAttempt, batch: RowBatch): Promise<number[]> {
    const parameters = await columnArrays(batch, this.#types);
    const sql = findSameSql(sqlTable, this.#source);
    const commands = [settingsCommand(session.deadline, false), { sql, parameters }];
    const results = await session.run(new CommandStatement(commands));
    return (results[1]?.rows ?? []).map(([position]) => Number(position) - 1);
  }
}

async function writePicked(
  attempt: BatchAttempt,
  indexes: readonly number[],
  writeNew: MissingOptions['writeNew'],
): Promise<WriteResult> {
  const { batch } = attempt;
  if (indexes.length === batch.count) return writeNew(attempt);
  try {
    return await writeNew({ ...attempt, batch: new PickedRows(batch, indexes) });
  } catch (error) {
    if (!(error instanceof StatementError)) throw error;
    const { failure, outcomeKnown } = error;
    const index = failure.rowNumber === undefined ? undefined : indexes[failure.rowNumber - 1];
    if (index === undefined) throw error;
    throw new StatementError({ ...failure, rowNumber: index + 1 }, outcomeKnown);
  }
}

/** The combined result of a batch's parts. */
function addResults(...results: readonly WriteResult[]): WriteResult {
  const ascending = (one: number, other: number): number => one - other;
  const sum = (of: (result: WriteResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const notStored = sum((result) => result.notStored ?? 0);
  return {
    written: sum(({ written }) => written),
    duplicates: results.flatMap(({ duplicates }) => duplicates).sort(ascending),
    conflicts: results.flatMap(({ conflicts }) => conflicts).sort(ascending),
    ...(notStored > 0 ? { notStored } : {}),
  };
}
