import type { RetryClass } from '../ports/ledger-stats.interface.js';
import { isLedgerError } from '../errors/is-ledger-error.js';

/** All classes, so that each exists from the start, at 0. @internal */
export const RETRY_CLASSES = [
  'connection',
  'too_many_connections',
  'resources',
  'timeout',
  'rollback',
  'read_only',
  'halted',
  'other',
] as const satisfies readonly RetryClass[];

/** Source: PostgreSQL 18, appendix A. Five characters take precedence over the class of two. */
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

/** A SQLSTATE; other codes of errors are Node's socket codes. */
const SQL_STATE = /^[0-9A-Z]{5}$/;

/**
 * The class of a failed attempt, by SQLSTATE and never by message text.
 *
 * @param isHalt the attempt counts as a refusal of every batch, independent of the error
 * @internal
 */
export function classifyRetry(error: unknown, isHalt: boolean): RetryClass {
  if (isHalt || isLedgerError(error, 'SINK_HALT')) return 'halted';
  if (!isLedgerError(error, 'SINK_TRANSIENT')) return 'other';
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
