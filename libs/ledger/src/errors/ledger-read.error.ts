import { LedgerError } from './ledger.error.js';

/**
 * Why a read failed. `invalid`: an argument breaks a rule, which is a bug of the caller.
 * `overflow`: a sum is above 2^53 - 1 and has no exact value as a number. `timeout`: the database
 * did not answer in time. `failed`: the database is unreachable or refused the query. `busy`: too
 * many reads are running, and this one was not started; try again a second later. `unavailable`:
 * the ledger writes to its own sink or to a stream, and has no `reader`.
 *
 * @inline
 */
export type ReadFailure = 'invalid' | 'overflow' | 'timeout' | 'failed' | 'busy' | 'unavailable';

/** A read failed. Contains no value and no SQL. @publicApi */
export class LedgerReadError extends LedgerError {
  readonly code = 'LEDGER_READ';

  constructor(
    readonly reason: ReadFailure,
    /** Argument or figure at fault; `read` for the whole read. */
    readonly field: string,
    /** The rule of the field, or the cause of the failure. */
    readonly rule: string,
    /** SQLSTATE (five characters) or socket code of a failure; undefined if there was none. */
    readonly sqlState?: string,
  ) {
    super(`ledger read: ${field} ${rule}${sqlState === undefined ? '' : ` (${sqlState})`}`);
  }
}
