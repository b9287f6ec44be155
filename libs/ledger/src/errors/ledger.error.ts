const BRAND = Symbol.for('nestjs-ledger/error');

/** Codes of all ledger errors; stable, so that a log search or an alert may rely on them. @publicApi */
export type LedgerErrorCode =
  | 'LEDGER_OPTIONS'
  | 'LEDGER_DEFINITION'
  | 'LEDGER_ENTRY_INVALID'
  | 'LEDGER_WAIT_TIMEOUT'
  | 'LEDGER_DEAD_LETTERED'
  | 'LEDGER_SPILLED'
  | 'LEDGER_SEALED'
  | 'LEDGER_READ'
  | 'SINK_TRANSIENT'
  | 'SINK_ROW'
  | 'SINK_HALT';

/**
 * Every error that the ledger raises is one of these. Tell them apart by `code` or by the exported
 * guards, never by message text: the guards also hold across two copies of the package.
 *
 * @publicApi
 */
export abstract class LedgerError extends Error {
  abstract readonly code: LedgerErrorCode;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    Object.defineProperty(this, BRAND, { value: true });
  }

  get isLedgerError(): true {
    return true;
  }
}

/**
 * True for any error of this package, whichever copy of the package made it, in whichever realm: a
 * test runner's `Error` is another than that of the code outside it.
 *
 * @publicApi
 */
export function isLedgerError(error: unknown): error is LedgerError {
  if (typeof error !== 'object' || error === null) return false;
  return (error as { [BRAND]?: unknown })[BRAND] === true;
}

/** Makes the guard of one error class from its code. @internal */
export function guardFor<E extends LedgerError>(code: E['code']): (error: unknown) => error is E {
  return (error): error is E => isLedgerError(error) && error.code === code;
}
