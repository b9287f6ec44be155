/** Marks errors of every copy of the package, in every realm. @internal */
export const ERROR_BRAND = Symbol.for('nestjs-ledger/error');

/** Codes of all ledger errors; stable, for log searches and alerts. @publicApi */
export type LedgerErrorCode =
  | 'LEDGER_OPTIONS'
  | 'LEDGER_DEFINITION'
  | 'LEDGER_ENTRY_INVALID'
  | 'LEDGER_WAIT_TIMEOUT'
  | 'LEDGER_DEAD_LETTERED'
  | 'LEDGER_SPILLED'
  | 'LEDGER_SEALED'
  | 'LEDGER_NO_COMMIT'
  | 'LEDGER_READ'
  | 'SINK_TRANSIENT'
  | 'SINK_ROW'
  | 'SINK_HALT';

/**
 * Base class of all the ledger's errors. Distinguish them by `isLedgerError(error, code)`, never by
 * message text.
 *
 * @publicApi
 */
export abstract class LedgerError extends Error {
  abstract readonly code: LedgerErrorCode;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    Object.defineProperty(this, ERROR_BRAND, { value: true });
  }

  get isLedgerError(): true {
    return true;
  }
}
