import type { Deadline } from '../clock/deadline.js';
import type { PgSession } from './pg-session.js';

/** Lends connections of a pool, or of a share of it. @internal */
export interface SessionLender {
  /**
   * Runs `work` with a connection, and always returns it afterwards.
   *
   * @param deadline of everything, including the wait for the connection
   */
  use<T>(deadline: Deadline, work: (session: PgSession) => Promise<T>): Promise<T>;
  /** A connection that the caller must always return or discard. */
  take(deadline: Deadline): Promise<PgSession>;
}
