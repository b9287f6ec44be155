import { columnList } from '../postgres/quote-sql.js';
import { transactionSettings } from '../postgres/transaction-settings.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { rowColumns } from '../entry/columns.js';
import type { WriteResult } from '../ports/ledger-sink.interface.js';
import type { BatchAttempt, StrategyWriter } from './strategy-writer.interface.js';
import { CopyStatement } from '../postgres/copy-statement.js';
import { resultOfTag } from './stored-rows.js';

/**
 * Strategy `copy`: binary COPY directly into the table, in one simple query, so it works behind
 * poolers.
 *
 * @internal
 */
export class CopyWriter implements StrategyWriter {
  readonly #columnList: string;
  readonly #tableName: string;

  constructor(table: LedgerTable) {
    this.#columnList = columnList(rowColumns(table));
    this.#tableName = table.table;
  }

  async writeNew(attempt: BatchAttempt): Promise<WriteResult> {
    const { batch, session, sqlTable } = attempt;
    const copy = `COPY ${sqlTable} (${this.#columnList}) FROM STDIN (FORMAT binary)`;
    const statement = new CopyStatement([...setLocal(attempt), copy], batch.slices());
    const results = await session.run(statement, this.#tableName);
    return resultOfTag(batch.count, results.at(-1));
  }
}

function setLocal({ session, isAwaited }: BatchAttempt): string[] {
  return transactionSettings(session.deadline, isAwaited).map(
    ([name, value]) => `SET LOCAL ${name} = ${value}`,
  );
}
