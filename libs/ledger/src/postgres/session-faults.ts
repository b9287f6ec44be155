import { isLedgerError } from '../errors/is-ledger-error.js';
import { classifyPgError } from './classify-pg-error.js';
import { StatementError } from './pg-lease.js';
import { readPgError, type PgFailure } from './read-pg-error.js';

/** SQLSTATE read_only_sql_transaction. Source: PostgreSQL 18, appendix A. */
const READ_ONLY = '25006';

/**
 * SQLSTATE idle_session_timeout. The server checks this limit only while it waits for a statement, so
 * the statement that gets this answer was not run. Source: ProcessInterrupts in PostgreSQL's
 * postgres.c.
 */
const IDLE_SESSION_TIMEOUT = '57P05';

/**
 * SQLSTATEs after which the server closes the connection: admin_shutdown, crash_shutdown,
 * database_dropped, idle_session_timeout, idle_in_transaction_session_timeout and
 * transaction_timeout. Source: PostgreSQL 18, appendix A; postgres.c.
 */
const SESSION_ENDS = ['57P01', '57P02', '57P04', IDLE_SESSION_TIMEOUT, '25P03', '25P04'];

/**
 * Class connection exception: a pooler that lost its server answers with it, and closes the
 * connection. Source: PostgreSQL 18, appendix A; disconnect_client in PgBouncer's objects.c.
 */
const CONNECTION_EXCEPTION = '08';

/** Whether every server would refuse, until a person corrects the cause. @internal */
export function isToBeMended(error: unknown): boolean {
  return classifyPgError(readPgError(error)) === 'halt';
}

/**
 * Whether another session may accept the statement. A session keeps the settings of role and
 * database with which it began (`search_path`, `default_transaction_read_only`), and its server,
 * which may have become a standby. Retries would keep it in use forever, so that no new session
 * would be made after the cause is corrected.
 *
 * @internal
 */
export function mayBeOfSession(error: unknown): boolean {
  if (isLedgerError(error, 'SINK_HALT')) return true;
  const failure = failureOf(error);
  return codeOf(error) === READ_ONLY || (failure.isAnswer && classifyPgError(failure) === 'halt');
}

/**
 * Whether the failure of a session's first statement means that the session had ended before it. If
 * the connection was lost, perhaps only the answer was, which makes no difference to a read.
 *
 * @internal
 */
export function hadEnded(error: unknown, isRead: boolean): boolean {
  const code = codeOf(error);
  if (code === IDLE_SESSION_TIMEOUT) return true;
  return isRead && !isUsableAfter(error);
}

/** Whether the connection can be used after the error: the server has answered, and goes on. @internal */
export function isUsableAfter(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  const { isAnswer, isFatal } = failureOf(error);
  const isOver = SESSION_ENDS.includes(code) || code.startsWith(CONNECTION_EXCEPTION) || isFatal;
  return isAnswer && !isOver;
}

function failureOf(error: unknown): PgFailure {
  return error instanceof StatementError ? error.failure : readPgError(error);
}

/** The SQLSTATE, or the socket's code. */
function codeOf(error: unknown): string | undefined {
  return isLedgerError(error, 'SINK_TRANSIENT') ? error.sqlState : failureOf(error).code;
}
