import { isSinkHaltError, isSinkTransientError } from '../errors/sink.errors.js';

/**
 * Why an attempt at a batch was repeated.
 *
 * - `connection`: no connection, no answer in time, or the server went away (class 08, 57P, sockets).
 * - `too_many_connections`: the server takes no more of them (53300).
 * - `resources`: the server has no room on disk or in memory (class 53).
 * - `timeout`: the server gave up on a lock or on the statement (55P03, 57014).
 * - `rollback`: a deadlock or a serialization failure (class 40).
 * - `read_only`: the server is a standby, or was made read-only (class 25).
 * - `halted`: the server refuses every batch.
 * - `other`: anything else.
 *
 * @publicApi
 */
export type RetryClass = (typeof RETRY_CLASSES)[number];

/** All classes, so that each is there from the start, at 0. @internal */
export const RETRY_CLASSES = [
  'connection',
  'too_many_connections',
  'resources',
  'timeout',
  'rollback',
  'read_only',
  'halted',
  'other',
] as const;

/** Source: PostgreSQL 18, appendix A. Five characters go before the class of two. */
const CLASSES: Readonly<Record<string, RetryClass>> = {
  '53300': 'too_many_connections',
  '53': 'resources',
  '55P03': 'timeout',
  '57014': 'timeout',
  '08': 'connection',
  '57': 'connection',
  '40': 'rollback',
  '25': 'read_only',
};

/** A SQLSTATE; what else an error carries is a code of Node's sockets. */
const SQL_STATE = /^[0-9A-Z]{5}$/;

/**
 * Names the class of a failed attempt, by SQLSTATE and never by message text.
 *
 * @param isHalt the attempt counts as a refusal of every batch, whatever the error itself says
 * @internal
 */
export function classifyRetry(error: unknown, isHalt: boolean): RetryClass {
  if (isHalt || isSinkHaltError(error)) return 'halted';
  if (!isSinkTransientError(error)) return 'other';
  const { sqlState } = error;
  if (sqlState === undefined || !SQL_STATE.test(sqlState) || isSocketCode(sqlState)) {
    return 'connection';
  }
  return CLASSES[sqlState] ?? CLASSES[sqlState.slice(0, 2)] ?? 'other';
}

/** `EPIPE` has five letters too; SQLSTATEs of that class don't exist. */
function isSocketCode(code: string): boolean {
  return code.startsWith('E');
}
