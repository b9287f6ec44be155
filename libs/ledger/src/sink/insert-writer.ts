import { columnList } from '../postgres/quote-sql.js';
import { settingsCommand } from '../postgres/transaction-settings.js';
import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import type { WriteResult } from '../ports/ledger-sink.interface.js';
import type { BatchAttempt, StrategyWriter } from './strategy-writer.interface.js';
import { arraySource } from './array-source.js';
import { columnArrays, rowTypes } from './column-arrays.js';
import { CommandStatement } from '../postgres/command-statement.js';
import { resultOfTag } from './stored-rows.js';
import type { RowSource } from './table-sql.js';

/**
 * Strategy `insert`: one array per column through `unnest`, for servers and proxies without COPY
 * and for tables with row-level security.
 *
 * @internal
 */
export class InsertWriter implements StrategyWriter {
  readonly #types: readonly ColumnType[];
  readonly #source: RowSource;

  constructor(table: LedgerTable) {
    this.#types = rowTypes(table);
    this.#source = arraySource(table);
  }

  async writeNew(attempt: BatchAttempt): Promise<WriteResult> {
    const { batch, isAwaited, session, sqlTable } = attempt;
    const parameters = await columnArrays(batch, this.#types);
    const { columns, from, order } = this.#source;
    const list = columnList(columns);
    const sql = `INSERT INTO ${sqlTable} (${list}) SELECT ${list} FROM ${from} ORDER BY ${order}`;
    const commands = [settingsCommand(session.deadline, isAwaited), { sql, parameters }];
    const results = await session.run(new CommandStatement(commands));
    return resultOfTag(batch.count, results[1]);
  }
}
