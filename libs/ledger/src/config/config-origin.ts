import type { DatabaseVariable } from './database-variable.js';
import type { OptionsFault } from '../errors/ledger-options.error.js';
import type { LedgerConnectionOptions, LedgerOptions } from './ledger-options.interface.js';
import type { SettingOption } from './ledger-settings.js';
import type { StreamVariable } from './stream-variable.js';
import type { PlacedFault, SettingsLayer, SourcedValue } from './settings-layer.js';

/**
 * Key under which options from `createLedgerConfig` carry where each value came from. An own,
 * enumerable property, so that `{ ...config, batchSize: 5 }` keeps it; a value that then differs
 * from the recorded one counts as given in code. In the global registry, so that two copies of the
 * package understand each other.
 *
 * @internal
 */
export const LEDGER_CONFIG_ORIGIN = Symbol.for('nestjs-ledger/config-origin');

/** What `createLedgerConfig` found out, for `resolveLedgerOptions` to check and tell. @internal */
export interface ConfigOrigin {
  /** Name of the ledger that was configured. */
  readonly ledger: string;
  /** All sources, highest first. */
  readonly layers: readonly SettingsLayer[];
  /** Values as they stand in the options, built-in defaults included, with their sources. */
  readonly values: ReadonlyMap<SettingOption, SourcedValue>;
  /** What is wrong whatever code changes afterwards: names that disagree, an unreadable file. */
  readonly faults: readonly PlacedFault[];
  /** Names that are meant for a ledger and known by none. */
  readonly unknown: readonly OptionsFault[];
  /** Unknown names are faults. */
  readonly strict: boolean;
  /** The connection that was made from an environment name, and that name. */
  readonly database?: {
    readonly name: string;
    readonly connection: LedgerConnectionOptions;
    /** Names of what code gives and the URL goes before. */
    readonly setAside: readonly string[];
  };
  /** `DATABASE_URL`, if no name of the ledger's own is set; for an application without a DataSource. */
  readonly commonDatabase?: DatabaseVariable;
  /** The address of the stream between gateways and writers, if the environment has one. */
  readonly stream?: StreamVariable;
}

/** The record that the options carry, or undefined if they were written by hand. @internal */
export function originOf(options: LedgerOptions): ConfigOrigin | undefined {
  return (options as { [LEDGER_CONFIG_ORIGIN]?: ConfigOrigin })[LEDGER_CONFIG_ORIGIN];
}
