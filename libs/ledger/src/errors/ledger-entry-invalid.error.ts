import { LedgerError } from './ledger.error.js';

/**
 * An entry breaks a rule: a bug of the caller. Names field and rule, never the value. @publicApi
 */
export class LedgerEntryInvalidError extends LedgerError {
  readonly code = 'LEDGER_ENTRY_INVALID';

  constructor(
    /** Name of the entry's field, or `entry` for the whole entry. */
    readonly field: string,
    /** The rule of the field, and the kind of value that was given. */
    readonly rule: string,
    /** The entry's uuid, if the caller gave a valid one. */
    readonly uuid?: string,
  ) {
    super(`invalid entry: ${field} ${rule}`);
  }
}
