import type { DatabaseVariable } from './database-variable.js';
import type { OptionsFault } from '../errors/ledger-options.error.js';
import type { LedgerConnectionOptions, LedgerOptions } from './ledger-options.interface.js';
import type { SettingOption } from './ledger-settings.js';
import type { StreamVariable } from './stream-variable.js';
import type { PlacedFault, SettingsLayer, SourcedValue } from './settings-layer.js';

/**
 * Key under which options from `createLedgerConfig` carry the source of each value. An own,
 * enumerable property, so that `{ ...config, batchSize: 5 }` keeps it. A value that differs from
 * the recorded one counts as given in code. In the global registry, so that two copies of the
 * package understand each other.
 *
 * @internal
 */
export const LEDGER_CONFIG_ORIGIN = Symbol.for('nestjs-ledger/config-origin');

/** Findings of `createLedgerConfig` that `resolveLedgerOptions` checks and reports. @internal */
export interface ConfigOrigin {
  /** Name of the ledger that was configured. */
  readonly ledger: string;
  /** All sources, highest first. */
  readonly layers: readonly SettingsLayer[];
  /** Values of the options, built-in defaults included, with their sources. */
  readonly values: ReadonlyMap<SettingOption, SourcedValue>;
  /** Faults that code cannot correct afterwards: contradicting names, an unreadable file. */
  readonly faults: readonly PlacedFault[];
  /** Names that look like a ledger's settings but are unknown. */
  readonly unknown: readonly OptionsFault[];
  /** Unknown names are faults. */
  readonly strict: boolean;
  /** The connection that an environment variable gave, and the variable's name. */
  readonly database?: {
    readonly name: string;
    readonly connection: LedgerConnectionOptions;
    /** Names of code's options that the URL overrides. */
    readonly setAside: readonly string[];
  };
  /**
   * `DATABASE_URL`, if the ledger has no variable of its own; for an application without a
   * DataSource.
   */
  readonly commonDatabase?: DatabaseVariable;
  /** The stream's address, if the environment contains one. */
  readonly stream?: StreamVariable;
}

/** The origin that the options carry; undefined if they were written by hand. @internal */
export function originOf(options: LedgerOptions): ConfigOrigin | undefined {
  return (options as { [LEDGER_CONFIG_ORIGIN]?: ConfigOrigin })[LEDGER_CONFIG_ORIGIN];
}
