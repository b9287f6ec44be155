import type { Deadline } from '../clock/deadline.js';
import type { PgSession, TransactionOptions } from './pg-session.js';

/** Lends connections of a pool, or of a share of it. @internal */
export interface SessionLender {
  /**
   * Runs `work` with a connection, and always returns it afterwards.
   *
   * @param deadline of everything, including the wait for the connection
   */
  use<T>(deadline: Deadline, work: (session: PgSession) => Promise<T>): Promise<T>;
  /** A connection in a new transaction; the caller must always return or discard it. */
  begin(deadline: Deadline, options: TransactionOptions): Promise<PgSession>;
}
