import { quoteIdentifier, columnList } from '../postgres/quote-sql.js';
import { transactionSettings } from '../postgres/transaction-settings.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { rowColumns } from '../entry/columns.js';
import type { WriteResult } from '../ports/ledger-sink.interface.js';
import type { BatchAttempt, StrategyWriter } from './strategy-writer.interface.js';
import { CopyStatement } from '../postgres/copy-statement.js';
import type { TableShape } from './read-table-shape.js';
import { compareSql, insertMissingSql, readComparison } from './table-sql.js';

const BATCH_TABLE = 'nestjs_ledger_batch';
const SQL_BATCH_TABLE = `pg_temp.${BATCH_TABLE}`;

/**
 * Strategy `copy`: binary COPY straight into the table, or through a temporary table when rows may
 * be there already. Each is one simple query, so it needs nothing that a pooler would take away.
 *
 * @internal
 */
export class CopyWriter implements StrategyWriter {
  readonly #columns: readonly string[];
  readonly #columnList: string;
  readonly #tableName: string;

  constructor(table: LedgerTable) {
    this.#columns = rowColumns(table);
    this.#columnList = columnList(this.#columns);
    this.#tableName = table.table;
  }

  async writeNew(attempt: BatchAttempt): Promise<WriteResult> {
    const { batch, session } = attempt;
    const copy = this.#copySql(attempt.sqlTable);
    const statement = new CopyStatement([...setLocal(attempt), copy], batch.slices());
    await session.run(statement, this.#tableName);
    return { written: batch.count, duplicates: [], conflicts: [] };
  }

  async writeMissing(attempt: BatchAttempt, shape: TableShape): Promise<WriteResult> {
    const { batch, session, sqlTable } = attempt;
    const source = {
      from: `${SQL_BATCH_TABLE} AS s`,
      order: 's.ctid',
      columns: this.#columns,
    };
    const statements = [
      ...setLocal(attempt),
      // CHECK and NOT NULL come along, so that COPY still names the row that breaks them.
      `CREATE TEMPORARY TABLE ${BATCH_TABLE} (LIKE ${sqlTable} INCLUDING CONSTRAINTS) ` +
        'ON COMMIT DROP',
      ...this.#dropOthers(shape),
      this.#copySql(SQL_BATCH_TABLE),
      insertMissingSql(sqlTable, source, shape.key),
      compareSql(sqlTable, source, shape.key),
    ];
    const statement = new CopyStatement(statements, batch.slices());
    const results = await session.run(statement, BATCH_TABLE);
    return readComparison(batch.count, results.at(-1));
  }

  #copySql(target: string): string {
    return `COPY ${target} (${this.#columnList}) FROM STDIN (FORMAT binary)`;
  }

  /** Columns that no row carries: NOT NULL came along with them, their defaults did not. */
  #dropOthers(shape: TableShape): string[] {
    const others = shape.columns.filter((name) => !this.#columns.includes(name));
    if (others.length === 0) return [];
    const drops = others.map((name) => `DROP COLUMN ${quoteIdentifier(name)}`);
    return [`ALTER TABLE ${SQL_BATCH_TABLE} ${drops.join(', ')}`];
  }
}

function setLocal({ session, isAwaited }: BatchAttempt): string[] {
  return transactionSettings(session.deadline, isAwaited).map(
    ([name, value]) => `SET LOCAL ${name} = ${value}`,
  );
}
