import type { RowBatch, WriteResult } from '../ports/ledger-sink.interface.js';
import type { PgSession } from '../postgres/pg-session.js';

/** One attempt at one batch, with its connection. @internal */
export interface BatchAttempt {
  readonly session: PgSession;
  readonly batch: RowBatch;
  readonly isAwaited: boolean;
  /** The table as SQL text, quoted and qualified. */
  readonly sqlTable: string;
}

/** One strategy of the options: writes new rows in one transaction. @internal */
export interface StrategyWriter {
  /** @throws StatementError */
  writeNew(attempt: BatchAttempt): Promise<WriteResult>;
}
