import { registerAs } from '@nestjs/config';
import type { ConfigFactoryKeyHost } from '@nestjs/config';
import { isLedgerTable } from '../entry/is-ledger-table.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { LedgerSettings } from '../ports/ledger-settings.interface.js';
import { CONFIGURED_LEDGER } from './configured-ledger.js';
import type { LedgerOptions } from './ledger-options.interface.js';
import { readLedgerConfig } from './read-ledger-config.js';
import type { LedgerConfigOptions } from './read-ledger-config.js';
import { resolveLedgerOptions } from './resolve-ledger-options.js';

export type { LedgerConfigOptions } from './read-ledger-config.js';

/**
 * A ledger's configuration: every setting with its value in force, figures of a profile included,
 * and the options that only code can give. `ConfigService.get('ledger')` returns it.
 *
 * @publicApi
 */
export type LedgerConfiguration = LedgerOptions & Required<Omit<LedgerSettings, 'profile'>>;

/** The result of `registerAs`: a factory with `KEY` and `asProvider()`. @publicApi */
export type LedgerConfigFactory = (() => LedgerConfiguration) &
  ConfigFactoryKeyHost<LedgerConfiguration>;

/**
 * Creates a configuration factory for `ConfigModule` that reads one ledger's settings at boot:
 * environment > INI file > `defaults` > built-in. Its token is `ledger`, or `ledger:<name>` for a
 * named ledger. `asProvider()` carries the definition along, so `forRootAsync` needs nothing else.
 *
 * The factory throws a `LedgerOptionsError` that lists every wrong value. The boot fails with it
 * wherever the factory is used: in `ConfigModule.forRoot({ load })`, in `LedgerModule`, or in both.
 *
 * @param definition of the ledger; not given for the default ledger
 * @example
 * const usageConfig = createLedgerConfig(usage, { defaults: { profile: 'high' } });
 * LedgerModule.forRootAsync(usageConfig.asProvider());
 * @publicApi
 */
export function createLedgerConfig(
  definition: LedgerTable,
  options?: LedgerConfigOptions,
): LedgerConfigFactory;
/** The default ledger's configuration. @publicApi */
export function createLedgerConfig(options?: LedgerConfigOptions): LedgerConfigFactory;
export function createLedgerConfig(
  first: LedgerTable | LedgerConfigOptions = {},
  second: LedgerConfigOptions = {},
): LedgerConfigFactory {
  const definition = isLedgerTable(first) ? first : undefined;
  const options = isLedgerTable(first) ? second : first;
  const name = definition?.name ?? 'default';
  const registered = registerAs<LedgerConfiguration, () => LedgerConfiguration>(
    name === 'default' ? 'ledger' : `ledger:${name}`,
    () => readValid(name, options),
  );
  return withDefinition(registered, definition);
}

/** The default ledger's configuration, from the environment alone. @publicApi */
export const ledgerConfig: LedgerConfigFactory = createLedgerConfig();

/** @throws LedgerOptionsError with every fault */
function readValid(name: string, options: LedgerConfigOptions): LedgerConfiguration {
  const read = readLedgerConfig(name, options, process.env);
  resolveLedgerOptions(read);
  return read as LedgerConfiguration;
}

/** `registerAs` makes `asProvider` read-only, so a second factory carries the definition. */
function withDefinition(
  registered: LedgerConfigFactory,
  definition: LedgerTable | undefined,
): LedgerConfigFactory {
  if (definition === undefined) return registered;
  const asProvider = () => ({ ...registered.asProvider(), [CONFIGURED_LEDGER]: definition });
  return Object.defineProperties(() => registered(), {
    ...Object.getOwnPropertyDescriptors(registered),
    asProvider: { value: asProvider },
  }) as LedgerConfigFactory;
}
