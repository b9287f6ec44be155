import type { LedgerOptions } from '../config/ledger-options.interface.js';
import { LEDGER_SETTINGS } from '../config/ledger-settings.js';
import { readLedgerConfig } from '../config/read-ledger-config.js';
import { resolveLedgerOptions } from '../config/resolve-ledger-options.js';
import { keepsRule } from '../config/setting-values.js';
import { type OptionsFault } from '../errors/ledger-options.error.js';
import { isLedgerError } from '../errors/is-ledger-error.js';

/** Settings of an application that commands need. @internal */
export interface SettingsInForce {
  readonly numWorkers: number | 'auto';
  readonly bufferMaxBytes: number;
  readonly spillDir: string;
  /** Undefined: there is no journal. */
  readonly journalDir: string | undefined;
  /** No ledger starts while there are any: then each value is its own if that is right, or the default. */
  readonly faults: readonly OptionsFault[];
}

/**
 * As a ledger of an application reads them that has this environment and working directory:
 * environment, INI file, profile. What code gives is not seen from here.
 *
 * @param ledger its name
 * @internal
 */
export function readSettingsInForce(ledger: string): SettingsInForce {
  const options = readLedgerConfig(ledger, {}, process.env);
  try {
    const resolved = resolveLedgerOptions(options);
    const { numWorkers, figures, role } = resolved;
    // A writer of a stream tunes nothing: it keeps the workers that `auto` begins with.
    const workers = role === 'writer' ? figures.numWorkers : numWorkers;
    return { ...resolved, numWorkers: workers, faults: [] };
  } catch (error) {
    if (!isLedgerError(error, 'LEDGER_OPTIONS')) throw error;
    return {
      numWorkers: ownOrDefault(options, 'numWorkers'),
      bufferMaxBytes: ownOrDefault(options, 'bufferMaxBytes'),
      spillDir: ownOrDefault(options, 'spillDir'),
      journalDir: options.journalDir,
      faults: error.faults,
    };
  }
}

function ownOrDefault<K extends 'numWorkers' | 'bufferMaxBytes' | 'spillDir'>(
  options: LedgerOptions,
  name: K,
): NonNullable<LedgerOptions[K]> {
  const own = options[name];
  const isRight = own !== undefined && keepsRule(LEDGER_SETTINGS[name], own);
  return (isRight ? own : LEDGER_SETTINGS[name].default) as NonNullable<LedgerOptions[K]>;
}
