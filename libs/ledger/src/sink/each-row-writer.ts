import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import { rowColumns } from '../entry/columns.js';
import { SinkHaltError, SinkRowError } from '../errors/sink.errors.js';
import type { EachRowResult, RefusedRow, WriteResult } from '../ports/ledger-sink.interface.js';
import { classifyPgError, toSinkError } from '../postgres/classify-pg-error.js';
import { CommandStatement } from '../postgres/command-statement.js';
import { StatementError } from '../postgres/pg-lease.js';
import { readPgError, type PgFailure } from '../postgres/read-pg-error.js';
import { settingsCommand } from '../postgres/transaction-settings.js';
import { columnArrays, rowTypes } from './column-arrays.js';
import { ANSWER_SQL, carrierTypes, carrySql, eachRowSql } from './each-row-sql.js';
import { PickedRows } from './picked-rows.js';
import type { TableShape } from './read-table-shape.js';
import type { BatchAttempt } from './strategy-writer.interface.js';

/** Share of the attempt's time in which rows may begin: the commit and the answer need the rest. */
const TIME_SHARE = 0.6;

/** Writes rows that the table may contain, by the columns of its key. @throws StatementError */
type WriteMissing = (attempt: BatchAttempt, key: readonly string[]) => Promise<WriteResult>;

/** The outcomes of the rows, as collected. */
class Collected {
  written = 0;
  notStored = 0;
  readonly duplicates: number[] = [];
  readonly conflicts: number[] = [];
  readonly refused: RefusedRow[] = [];
  readonly untried: number[] = [];
}

/**
 * Tries each row of a batch separately. If the role may run a DO block, it happens on the server,
 * in one statement and one transaction. Otherwise (no privilege for plpgsql, another server) each
 * row is a separate statement.
 *
 * @internal
 */
export class EachRowWriter {
  readonly #types: readonly ColumnType[];
  readonly #columns: readonly string[];
  readonly #tableName: string;
  readonly #writeMissing: WriteMissing;

  constructor(table: LedgerTable, writeMissing: WriteMissing) {
    this.#types = rowTypes(table);
    this.#columns = rowColumns(table);
    this.#tableName = table.table;
    this.#writeMissing = writeMissing;
  }

  /**
   * @throws StatementError if no row is at fault: nothing was written, unless the error says
   *   otherwise
   */
  async write(attempt: BatchAttempt, shape: TableShape): Promise<EachRowResult> {
    try {
      return await this.#onServer(attempt, shape);
    } catch (error) {
      if (!(error instanceof StatementError) || !attempt.session.isHeld) throw error;
      const verdict = classifyPgError(error.failure);
      if (verdict === 'transient' || verdict === 'unknown') throw error;
      return this.#fromHere(attempt, shape);
    }
  }

  async #onServer(attempt: BatchAttempt, shape: TableShape): Promise<EachRowResult> {
    const { batch, isAwaited, session, sqlTable } = attempt;
    const parameters = await columnArrays(batch, carrierTypes(this.#types));
    const block = eachRowSql({
      sqlTable,
      key: shape.key,
      columns: this.#columns,
      types: this.#types,
      count: batch.count,
      forMs: session.deadline.remainingMs * TIME_SHARE,
    });
    const commands = [
      settingsCommand(session.deadline, isAwaited),
      { sql: carrySql(this.#types), parameters },
      { sql: block, parameters: [] },
      { sql: ANSWER_SQL, parameters: [] },
    ];
    const results = await session.run(new CommandStatement(commands));
    const said = JSON.parse(results[3]?.rows[0]?.[0] ?? '[]') as string[];
    return this.#read(batch.count, said, shape);
  }

  #read(count: number, said: readonly string[], shape: TableShape): EachRowResult {
    const collected = new Collected();
    for (let index = 0; index < count; index++) {
      const word = said[index] ?? 'u';
      if (word === 'w') collected.written++;
      else if (word === 's') collected.notStored++;
      else if (word === 'd') collected.duplicates.push(index);
      else if (word === 'c') collected.conflicts.push(index);
      else if (word === 'u') collected.untried.push(index);
      else this.#refuse(collected, index, { word, shape });
    }
    return resultOf(collected);
  }

  #refuse(
    collected: Collected,
    index: number,
    { word, shape }: { word: string; shape: TableShape },
  ): void {
    const [pass, code, constraint, column, table] = JSON.parse(word) as [number, ...string[]];
    const raw = { code, severity: 'ERROR', constraint, column, table };
    const failure = readPgError(raw, this.#tableName);
    // Rows of the default partition are being moved: the next attempt goes to their new place.
    const isMoving = failure.isElsewhere && failure.constraint === undefined;
    if (failure.code === '23514' && isMoving) collected.untried.push(index);
    else collected.refused.push({ index, error: errorOf(failure, shape), isCertain: pass === 2 });
  }

  async #fromHere(attempt: BatchAttempt, shape: TableShape): Promise<EachRowResult> {
    const { batch, session } = attempt;
    const collected = new Collected();
    const until = session.deadline.remainingMs * (1 - TIME_SHARE);
    const tryRow = async (index: number, isSecond: boolean): Promise<void> => {
      const row = { ...attempt, batch: new PickedRows(batch, [index]) };
      try {
        const result = await this.#writeMissing(row, shape.key);
        if (result.duplicates.length > 0) collected.duplicates.push(index);
        else if (result.conflicts.length > 0) collected.conflicts.push(index);
        else if (result.notStored === undefined) collected.written++;
        else collected.notStored++;
      } catch (error) {
        const refusal = error instanceof StatementError && session.isHeld ? error : undefined;
        const verdict = refusal && classifyPgError(refusal.failure);
        if (!refusal || verdict === 'transient' || verdict === 'unknown') throw error;
        const failed = errorOf(refusal.failure, shape);
        collected.refused.push({ index, error: failed, isCertain: isSecond });
      }
    };
    for (let index = 0; index < batch.count; index++) {
      if (session.deadline.remainingMs < until) collected.untried.push(index);
      else await tryRow(index, false);
    }
    if (collected.written + collected.notStored === 0) return resultOf(collected);
    for (const { index } of collected.refused.splice(0)) await tryRow(index, true);
    return resultOf(collected);
  }
}

function resultOf(collected: Collected): EachRowResult {
  const { written, notStored, duplicates, conflicts, refused, untried } = collected;
  const ascending = (one: number, other: number): number => one - other;
  return {
    written: written + notStored,
    duplicates: duplicates.sort(ascending),
    conflicts: conflicts.sort(ascending),
    refused: refused.sort((one, other) => one.index - other.index),
    untried: untried.sort(ascending),
    ...(notStored > 0 ? { notStored } : {}),
  };
}

/**
 * The reason of a row's refusal. A code about the table or a right may still come from a trigger.
 */
function errorOf(failure: PgFailure, { hasRowPolicies }: TableShape): SinkRowError | SinkHaltError {
  const verdict = classifyPgError(failure);
  const isOfTable = verdict === 'halt' || verdict === 'no-copy';
  const isPolicy = failure.code === '42501' && hasRowPolicies;
  const error = toSinkError(failure, isOfTable && !isPolicy ? 'halt' : 'row', true);
  return error as SinkRowError | SinkHaltError;
}
