import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { LedgerOptions } from './config/ledger-options.interface.js';
import type { LedgerRole } from './ports/ledger-settings.interface.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';
import type { LedgerDefinition } from './define-ledger.js';

/** What stands beside the options in `forRoot` and `forRootAsync`. @inline */
export interface LedgerModuleExtras {
  /** What the ledger is; default `defaultLedger`. */
  ledger?: LedgerDefinition;
  /** Make the ledger injectable everywhere; default false. */
  isGlobal?: boolean;
  /** The option `stream`, where the other options come from a configuration. */
  stream?: LedgerStream;
  /** The option `role`, likewise. */
  role?: LedgerRole;
}

/** Implemented by classes given as `useClass` or `useExisting`. @publicApi */
export interface LedgerOptionsFactory {
  /** Called once, when the module is built. */
  createLedgerOptions(): LedgerOptions | Promise<LedgerOptions>;
}

const NO_EXTRAS: LedgerModuleExtras = {
  ledger: undefined,
  isGlobal: undefined,
  stream: undefined,
  role: undefined,
};

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<LedgerOptions>({ moduleName: 'Ledger' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createLedgerOptions')
    .setExtras(NO_EXTRAS)
    .build();

/**
 * What `forRootAsync` takes. A `useFactory` whose answer has a name that is not an option is a type error;
 * TypeScript by itself compares what a function returns no further than with the names that it knows.
 *
 * @publicApi
 */
export type LedgerAsyncOptions<Made extends object = LedgerOptions> = Omit<
  typeof ASYNC_OPTIONS_TYPE,
  'useFactory'
> & {
  /** Makes the options of what `inject` names. */
  useFactory?: (...injected: Injected) => OptionsMade<Made> | Promise<OptionsMade<Made>>;
};

/** Of any types: Nest looks at no more than their number. */
type Injected = Parameters<NonNullable<(typeof ASYNC_OPTIONS_TYPE)['useFactory']>>;

type OptionsMade<Made> = Made &
  LedgerOptions & {
    readonly [K in Exclude<keyof Made, keyof LedgerOptions>]?: `${K & string} is not an option`;
  };
