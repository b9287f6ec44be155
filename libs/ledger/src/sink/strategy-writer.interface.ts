import type { RowBatch, WriteResult } from '../ports/ledger-sink.interface.js';
import type { PgSession } from '../postgres/pg-session.js';
import type { TableShape } from './read-table-shape.js';

/** One attempt at one batch, with its connection. @internal */
export interface BatchAttempt {
  readonly session: PgSession;
  readonly batch: RowBatch;
  readonly isAwaited: boolean;
  /** The table as SQL text, quoted and qualified. */
  readonly sqlTable: string;
}

/** One way of writing a batch in one transaction: a strategy of the options. @internal */
export interface StrategyWriter {
  /** Writes rows that are not there. @throws StatementError */
  writeNew(attempt: BatchAttempt): Promise<WriteResult>;
  /** Writes the rows that are not there, and compares the others. @throws StatementError */
  writeMissing(attempt: BatchAttempt, shape: TableShape): Promise<WriteResult>;
}
