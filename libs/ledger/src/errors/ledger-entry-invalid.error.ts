import { LedgerError } from './ledger.error.js';

/** An entry breaks a rule; the caller's bug. Carries field and rule, never the value. @publicApi */
export class LedgerEntryInvalidError extends LedgerError {
  readonly code = 'LEDGER_ENTRY_INVALID';

  constructor(
    /** Name of the field as the caller writes it, or `entry` for the whole. */
    readonly field: string,
    /** What the field must be, and the kind of value that was given. */
    readonly rule: string,
    /** The entry's uuid, if the caller gave a valid one. */
    readonly uuid?: string,
  ) {
    super(`invalid entry: ${field} ${rule}`);
  }
}
