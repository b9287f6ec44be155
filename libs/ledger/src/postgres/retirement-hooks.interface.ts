import type { PgSession } from './pg-session.js';

/** A ledger's table. @internal */
export interface LedgerTablePath {
  readonly schema: string | undefined;
  readonly table: string;
}

/** What another part of the ledger has to do when a partition is retired. @internal */
export interface RetirementHooks {
  /**
   * Runs in the transaction that detaches the partition. Entries created before a moment leave with it.
   *
   * @param before milliseconds since 1970
   */
  detached(session: PgSession, path: LedgerTablePath, before: number): Promise<void>;
  /** Runs afterwards, in a transaction of its own. If it meets a lock, the next retirement does it. */
  swept(session: PgSession, path: LedgerTablePath): Promise<void>;
}
