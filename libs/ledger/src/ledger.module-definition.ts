import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { LedgerOptions } from './config/ledger-options.interface.js';
import type { LedgerRole } from './ports/ledger-settings.interface.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';
import type { LedgerDefinition } from './define-ledger.js';

/** Properties besides the options in `forRoot` and `forRootAsync`. @inline */
export interface LedgerModuleExtras {
  /** The definition of the ledger; default `defaultLedger`. */
  ledger?: LedgerDefinition;
  /** Make the ledger injectable everywhere; default false. */
  isGlobal?: boolean;
  /** The option `stream`, if the other options come from a configuration. */
  stream?: LedgerStream;
  /** The option `role`, likewise. */
  role?: LedgerRole;
}

/** Implemented by classes given as `useClass` or `useExisting`. @publicApi */
export interface LedgerOptionsFactory {
  /** Called once, when the module is created. */
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
 * Options of `forRootAsync`. If the result of `useFactory` has a property that is not an option,
 * that is a type error. TypeScript alone does not report excess properties of a function's result.
 *
 * @publicApi
 */
export type LedgerAsyncOptions<Made extends object = LedgerOptions> = Omit<
  typeof ASYNC_OPTIONS_TYPE,
  'useFactory'
> & {
  /** Creates the options from the providers in `inject`. */
  useFactory?: (...injected: Injected) => OptionsMade<Made> | Promise<OptionsMade<Made>>;
};

/** Of any type: Nest checks only their number. */
type Injected = Parameters<NonNullable<(typeof ASYNC_OPTIONS_TYPE)['useFactory']>>;

type OptionsMade<Made> = Made &
  LedgerOptions & {
    readonly [K in Exclude<keyof Made, keyof LedgerOptions>]?: `${K & string} is not an option`;
  };
