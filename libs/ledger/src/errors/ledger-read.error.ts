import { LedgerError } from './ledger.error.js';

/**
 * Why a read gave no answer. `invalid`: an argument breaks a rule; the caller's bug. `overflow`: a
 * sum is above 2^53 - 1, so it has no exact figure as a number. `timeout`: the database did not
 * answer in time. `failed`: it can't be reached, or it refused. `busy`: too many reads are under way, so
 * this one was not begun; it may be tried again a second later. `unavailable`: the ledger writes to a sink
 * of its own and was given no `reader`.
 *
 * @inline
 */
export type ReadFailure = 'invalid' | 'overflow' | 'timeout' | 'failed' | 'busy' | 'unavailable';

/** A read has no answer. Carries no value and no SQL. @publicApi */
export class LedgerReadError extends LedgerError {
  readonly code = 'LEDGER_READ';

  constructor(
    readonly reason: ReadFailure,
    /** Argument or figure that it is about; `read` for the whole. */
    readonly field: string,
    /** What the field must be, or what went wrong. */
    readonly rule: string,
    /** SQLSTATE (five characters) or socket code of a failure; undefined if there was none. */
    readonly sqlState?: string,
  ) {
    super(`ledger read: ${field} ${rule}${sqlState === undefined ? '' : ` (${sqlState})`}`);
  }
}
