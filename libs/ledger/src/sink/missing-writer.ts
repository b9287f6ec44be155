import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import type { RowBatch, WriteResult } from '../ports/ledger-sink.interface.js';
import { CommandStatement } from '../postgres/command-statement.js';
import { StatementError } from '../postgres/pg-lease.js';
import { settingsCommand } from '../postgres/transaction-settings.js';
import { arraySource } from './array-source.js';
import { columnArrays, rowTypes } from './column-arrays.js';
import { PickedRows } from './picked-rows.js';
import type { BatchAttempt } from './strategy-writer.interface.js';
import {
  compareSql,
  findSameSql,
  insertMissingSql,
  readInserted,
  type RowSource,
} from './table-sql.js';

/**
 * The path for rows that may be in the table, for both strategies: one INSERT that skips them. It
 * needs no temporary table, so no privilege beyond INSERT and SELECT, and no event trigger of the
 * database's hears of it.
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
   * Writes the rows that are not there, and compares the others.
   *
   * @param key columns of the primary key
   * @throws StatementError
   */
  async write(attempt: BatchAttempt, key: readonly string[]): Promise<WriteResult> {
    const { batch, isAwaited, session, sqlTable } = attempt;
    const parameters = await columnArrays(batch, this.#types);
    const commands = [
      settingsCommand(session.deadline, isAwaited),
      { sql: insertMissingSql(sqlTable, this.#source, key), parameters },
    ];
    const results = await session.run(new CommandStatement(commands));
    const { inserted, others } = readInserted(results[1]);
    if (others.length === 0) return { written: batch.count, duplicates: [], conflicts: [] };
    return this.#compare(attempt, { key, inserted, others });
  }

  /** A transaction of its own: only a later snapshot has what others committed meanwhile. */
  async #compare(
    { batch, session, sqlTable }: BatchAttempt,
    { key, inserted, others }: { key: readonly string[]; inserted: number; others: number[] },
  ): Promise<WriteResult> {
    const duplicates: number[] = [];
    const conflicts: number[] = [];
    try {
      const parameters = await columnArrays(new PickedRows(batch, others), this.#types);
      const sql = compareSql(sqlTable, this.#source, key);
      const commands = [settingsCommand(session.deadline, false), { sql, parameters }];
      const results = await session.run(new CommandStatement(commands));
      for (const [position, differs] of results[1]?.rows ?? []) {
        (differs === 't' ? conflicts : duplicates).push(others[Number(position) - 1]!);
      }
    } catch (error) {
      // The insert before it is committed.
      throw error instanceof StatementError ? new StatementError(error.failure, false) : error;
    }
    const found = duplicates.length + conflicts.length;
    const written = batch.count - found;
    const notStored = Math.max(0, written - inserted);
    return { written, duplicates, conflicts, ...(notStored > 0 ? { notStored } : {}) };
  }

  /** @returns indexes of the rows that are there with equal content @throws StatementError */
  async findSame({ session, sqlTable }: BatchAttempt, batch: RowBatch): Promise<number[]> {
    const parameters = await columnArrays(batch, this.#types);
    const sql = findSameSql(sqlTable, this.#source);
    const commands = [settingsCommand(session.deadline, false), { sql, parameters }];
    const results = await session.run(new CommandStatement(commands));
    return (results[1]?.rows ?? []).map(([position]) => Number(position) - 1);
  }
}
