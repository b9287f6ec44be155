import { registerAs } from '@nestjs/config';
import type { ConfigFactoryKeyHost } from '@nestjs/config';
import type { LedgerOptions } from './ledger-options.interface.js';
import { readLedgerConfig } from './read-ledger-config.js';
import type { LedgerConfigOptions } from './read-ledger-config.js';

export type { LedgerConfigOptions } from './read-ledger-config.js';

/** What `registerAs` makes: a factory with `KEY` and `asProvider()`. @publicApi */
export type LedgerConfigFactory = (() => LedgerOptions) & ConfigFactoryKeyHost<LedgerOptions>;

/**
 * Makes a configuration factory for `ConfigModule` that reads one ledger's settings when the
 * application boots: environment > INI file > `defaults` > built-in. Its token is `ledger`, or
 * `ledger:<name>` for a named ledger. The factory itself never throws: what is wrong is told in one
 * error when `LedgerModule` takes the options.
 *
 * @example
 * const usageConfig = createLedgerConfig({ name: 'usage' });
 * LedgerModule.forRootAsync({ ledger: usage, ...usageConfig.asProvider() });
 * @publicApi
 */
export function createLedgerConfig(options: LedgerConfigOptions = {}): LedgerConfigFactory {
  const isNamed = options.name !== undefined && options.name !== 'default';
  const read = (): LedgerOptions => readLedgerConfig(options, process.env);
  return registerAs<LedgerOptions, () => LedgerOptions>(
    isNamed ? `ledger:${options.name}` : 'ledger',
    read,
  );
}

/** The default ledger's configuration, from the environment alone. @publicApi */
export const ledgerConfig: LedgerConfigFactory = createLedgerConfig();
