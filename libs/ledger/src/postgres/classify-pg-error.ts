import {
  REFUSED_A_ROW,
  REFUSES_EVERY_BATCH,
  SinkHaltError,
  SinkRowError,
  SinkTransientError,
} from '../errors/sink.errors.js';
import type { PgFailure } from './read-pg-error.js';
import { lookUpSqlState } from './sql-states.js';
import type { Verdict } from './sql-states.js';

/**
 * Codes with which a server that reads rows reports that it expects other columns or types. All
 * rows have one format, so the named row is not at fault. A field that is too short for its type is
 * a protocol_violation; without a row, that code reports a pooler's own trouble. Source:
 * pq_copymsgbytes in PostgreSQL's pqformat.c, ReceiveFunctionCall's check in fmgr.c.
 */
const OTHER_FORMAT: readonly string[] = ['22P04', '22P03', '08P01'];

/** check_violation. Source: PostgreSQL 18, appendix A. */
const CHECK_VIOLATION = '23514';

/**
 * Classifies a failure of a batch by SQLSTATE and named row, never by message text.
 *
 * A named row is at fault for any code that a user's trigger raised (including 42 and P0). It is
 * not at fault if the server, a lock or a time limit is: COPY's line is then part of every error's
 * context.
 *
 * @internal
 */
export function classifyPgError(failure: PgFailure): Verdict {
  if (!failure.isAnswer || failure.code === undefined) return 'transient';
  const verdict = lookUpSqlState(failure.code)?.verdict;
  if (failure.rowNumber === undefined) return verdict ?? 'transient';
  // Rows of the default partition are being moved into a new one: the next attempt goes there. A
  // partition's bounds are a constraint without a name.
  const isMoving = failure.isElsewhere && failure.constraint === undefined;
  if (failure.code === CHECK_VIOLATION && isMoving) return 'transient';
  if (OTHER_FORMAT.includes(failure.code)) return 'halt';
  if (verdict === undefined || verdict === 'no-copy') return 'row';
  return verdict === 'halt' ? 'row' : verdict;
}

/**
 * The error for the worker.
 *
 * @param outcomeKnown false if the batch may have been committed anyway
 * @internal
 */
export function toSinkError(
  failure: PgFailure,
  verdict: Verdict,
  outcomeKnown: boolean,
): SinkTransientError | SinkRowError | SinkHaltError {
  const { code, cause, text } = failure;
  const subject = failure.constraint ?? failure.column ?? failure.table;
  const told = {
    cause,
    ...(code === undefined ? {} : { sqlState: code }),
    ...(subject === undefined ? {} : { subject }),
  };
  switch (verdict) {
    case 'row':
    case 'exists': {
      const { rowNumber } = failure;
      return new SinkRowError(`${REFUSED_A_ROW}: ${text}`, {
        ...told,
        ...(rowNumber === undefined ? {} : { rowNumber }),
      });
    }
    case 'halt':
    case 'no-copy':
      return new SinkHaltError(`${REFUSES_EVERY_BATCH}: ${text}`, told);
    case 'transient':
    case 'unknown': {
      const isKnown = outcomeKnown && verdict !== 'unknown';
      const words = isKnown ? 'the batch was not written' : 'the batch may have been written';
      return new SinkTransientError(`${words}: ${text}`, { ...told, outcomeKnown: isKnown });
    }
  }
}
