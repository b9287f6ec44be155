import type { Deadline } from '../clock/deadline.js';
import type { PgSession } from './pg-session.js';

/** Lends connections of a pool, or of a share of it. @internal */
export interface SessionLender {
  /**
   * Runs `work` with a connection, and gives it back afterwards, whatever happens.
   *
   * @param deadline of all of it, waiting for the connection included
   */
  use<T>(deadline: Deadline, work: (session: PgSession) => Promise<T>): Promise<T>;
  /** A connection that the caller must give back or discard, whatever happens. */
  take(deadline: Deadline): Promise<PgSession>;
}
