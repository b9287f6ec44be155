import { LedgerError } from './ledger.error.js';

/** Source of a setting's value. @inline */
export type SettingSource = 'environment' | 'file' | 'code' | 'default';

/** One wrong setting, with its rule or remedy. @inline */
export interface OptionsFault {
  /** The name as its source spells it: `LEDGER_ASYNC_BATCH_SIZE`, or `batchSize` for code. */
  readonly name: string;
  /** The value as text, at most 80 characters; never a secret. */
  readonly value: string;
  /** Rule of the value, or the remedy. */
  readonly rule: string;
  readonly source: SettingSource;
}

/** All faults of a configuration; thrown at boot. @publicApi */
export class LedgerOptionsError extends LedgerError {
  readonly code = 'LEDGER_OPTIONS';

  /** @param faults at least one, in the order of the settings table */
  constructor(readonly faults: readonly OptionsFault[]) {
    super(
      `ledger options: ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}\n` +
        faults.map((f) => `  - ${f.name} = ${f.value} (${f.source}): ${f.rule}`).join('\n'),
    );
  }
}
