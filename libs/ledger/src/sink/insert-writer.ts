import { quoteIdentifier, columnList } from '../postgres/quote-sql.js';
import { settingsCommand } from '../postgres/transaction-settings.js';
import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import { rowColumns } from '../entry/columns.js';
import type { WriteResult } from '../ports/ledger-sink.interface.js';
import type { BatchAttempt, StrategyWriter } from './strategy-writer.interface.js';
import { columnArrays, rowTypes } from './column-arrays.js';
import { CommandStatement } from '../postgres/command-statement.js';
import type { TableShape } from './read-table-shape.js';
import { compareSql, findSameSql, insertMissingSql, readComparison } from './table-sql.js';
import type { RowSource } from './table-sql.js';

/** The position of a row in its batch; no column of a definition can have this name. */
const POSITION = '?position';

/**
 * Strategy `insert`: one array per column through `unnest`, for servers and proxies without COPY and
 * for tables with row-level security. Needs no temporary table.
 *
 * @internal
 */
export class InsertWriter implements StrategyWriter {
  readonly #types: readonly ColumnType[];
  readonly #source: RowSource;

  constructor(table: LedgerTable) {
    this.#types = rowTypes(table);
    const columns = rowColumns(table);
    const arrays = this.#types.map((type, index) => `$${index + 1}::${type}[]`);
    const alias = `s (${columnList([...columns, POSITION])})`;
    this.#source = {
      from: `unnest(${arrays.join(', ')}) WITH ORDINALITY AS ${alias}`,
      order: `s.${quoteIdentifier(POSITION)}`,
      columns,
    };
  }

  async writeNew(attempt: BatchAttempt): Promise<WriteResult> {
    const { batch, isAwaited, session, sqlTable } = attempt;
    const parameters = await columnArrays(batch, this.#types);
    const { columns, from, order } = this.#source;
    const list = columnList(columns);
    const sql = `INSERT INTO ${sqlTable} (${list}) SELECT ${list} FROM ${from} ORDER BY ${order}`;
    const commands = [settingsCommand(session.deadline, isAwaited), { sql, parameters }];
    await session.run(new CommandStatement(commands));
    return { written: batch.count, duplicates: [], conflicts: [] };
  }

  async writeMissing(attempt: BatchAttempt, { key }: TableShape): Promise<WriteResult> {
    const { batch, isAwaited, session, sqlTable } = attempt;
    const parameters = await columnArrays(batch, this.#types);
    const commands = [
      settingsCommand(session.deadline, isAwaited),
      { sql: insertMissingSql(sqlTable, this.#source, key), parameters },
      // The arrays go twice: the comparison must see what others committed meanwhile.
      { sql: compareSql(sqlTable, this.#source, key), parameters },
    ];
    const results = await session.run(new CommandStatement(commands));
    return readComparison(batch.count, results.at(-1));
  }

  /** @returns indexes of the rows that are there with equal content @throws StatementError */
  async findSame({ batch, session, sqlTable }: BatchAttempt): Promise<number[]> {
    const parameters = await columnArrays(batch, this.#types);
    const sql = findSameSql(sqlTable, this.#source);
    const commands = [settingsCommand(session.deadline, false), { sql, parameters }];
    const results = await session.run(new CommandStatement(commands));
    return (results[1]?.rows ?? []).map(([position]) => Number(position) - 1);
  }
}
