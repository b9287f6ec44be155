import { ConfigurableModuleBuilder } from '@nestjs/common';
import type { LedgerOptions } from './config/ledger-options.interface.js';
import type { LedgerDefinition } from './define-ledger.js';

/** What stands beside the options in `forRoot` and `forRootAsync`. @publicApi */
export interface LedgerModuleExtras {
  /** What the ledger is; default `defaultLedger`. */
  ledger?: LedgerDefinition;
  /** Make the ledger injectable everywhere; default false. */
  isGlobal?: boolean;
}

/** Implemented by classes given as `useClass` or `useExisting`. @publicApi */
export interface LedgerOptionsFactory {
  /** Called once, when the module is built. */
  createLedgerOptions(): LedgerOptions | Promise<LedgerOptions>;
}

const NO_EXTRAS: LedgerModuleExtras = { ledger: undefined, isGlobal: undefined };

export const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<LedgerOptions>({ moduleName: 'Ledger' })
    .setClassMethodName('forRoot')
    .setFactoryMethodName('createLedgerOptions')
    .setExtras(NO_EXTRAS)
    .build();
