import type { PgSession } from './pg-session.js';

/** A ledger's table. @internal */
export interface LedgerTablePath {
  readonly schema: string | undefined;
  readonly table: string;
}

/** Work of another part of the ledger when a partition is retired. @internal */
export interface RetirementHooks {
  /**
   * Runs in the transaction that detaches the partition. Entries created before `before` leave with
   * it.
   *
   * @param before milliseconds since 1970
   */
  detached(session: PgSession, path: LedgerTablePath, before: number): Promise<void>;
  /**
   * Runs afterwards, in its own transaction. If it meets a lock, the next retirement does the work.
   */
  swept(session: PgSession, path: LedgerTablePath): Promise<void>;
}
