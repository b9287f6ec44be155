import { LedgerError } from './ledger.error.js';

/** A definition given to `defineLedger` that cannot be a table, all faults at once. @publicApi */
export class LedgerDefinitionError extends LedgerError {
  readonly code = 'LEDGER_DEFINITION';

  /** @param faults at least one sentence, each naming the field and the rule */
  constructor(readonly faults: readonly string[]) {
    super(`ledger definition: ${faults.join('; ')}`);
  }
}
