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
 * Codes by which a server that reads rows says that it expects other columns, or others types: all
 * rows have one format, so that the named one is not at fault. A field that is too short for its
 * type is a protocol_violation; without a row that is a pooler's word for trouble of its own.
 * Source: pq_copymsgbytes in PostgreSQL's pqformat.c, ReceiveFunctionCall's check in fmgr.c.
 */
const OTHER_FORMAT: readonly string[] = ['22P04', '22P03', '08P01'];

/** check_violation. Source: PostgreSQL 18, appendix A. */
const CHECK_VIOLATION = '23514';

/**
 * Says what a failure means for the batch, by SQLSTATE and named row, never by message text.
 *
 * A named row is at fault whatever a user's trigger raised (42 and P0 too). It is not where the
 * server, a lock or a time limit is at fault: COPY's line is part of every error's context then.
 *
 * @internal
 */
export function classifyPgError(failure: PgFailure): Verdict {
  if (!failure.isAnswer || failure.code === undefined) return 'transient';
  const verdict = lookUpSqlState(failure.code)?.verdict;
  if (failure.rowNumber === undefined) return verdict ?? 'transient';
  // Rows of the default partition are being moved into one of their own: the next attempt goes there.
  // A partition's bounds are no constraint with a name.
  const isMoving = failure.isElsewhere && failure.constraint === undefined;
  if (failure.code === CHECK_VIOLATION && isMoving) return 'transient';
  if (OTHER_FORMAT.includes(failure.code)) return 'halt';
  if (verdict === undefined || verdict === 'no-copy') return 'row';
  return verdict === 'halt' ? 'row' : verdict;
}

/**
 * The error that the worker gets.
 *
 * @param outcomeKnown false if the batch may have been committed all the same
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
