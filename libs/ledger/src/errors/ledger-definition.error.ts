import { LedgerError } from './ledger.error.js';

/** An invalid definition was given to `defineLedger`; lists all faults. @publicApi */
export class LedgerDefinitionError extends LedgerError {
  readonly code = 'LEDGER_DEFINITION';

  /** @param faults at least one sentence, each naming the field and the rule */
  constructor(readonly faults: readonly string[]) {
    super(`ledger definition: ${faults.join('; ')}`);
  }
}
