import { Module, type CanActivate, type DynamicModule, type Type } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { LedgerDefinition } from '../define-ledger.js';
import { systemClock } from '../clock/clock.js';
import { createDashboardController } from './create-dashboard-controller.js';
import { DashboardLedgers } from './dashboard-ledgers.js';
import { LocalViewerGuard } from './local-viewer.guard.js';

/** How a dashboard is mounted. @publicApi */
export interface LedgerDashboardOptions {
  /** Where the page is, below the application's global prefix: `/ledger`, or `/`. */
  readonly path: string;
  /**
   * Who may look; asked for the page and for its events. Without any, the address answers 404,
   * except outside production (`NODE_ENV`) to a browser on the same machine, through no proxy.
   */
  readonly guards?: readonly Type<CanActivate>[];
  /** Modules whose providers the guards inject. */
  readonly imports?: DynamicModule['imports'];
  /** Ledgers to be shown, in this order; default: every ledger of the application, by name. */
  readonly ledgers?: readonly LedgerDefinition[];
}

/**
 * One page that shows ledgers at work. It reads them by their snapshots, once a second while
 * somebody looks, and changes nothing. Works on Express and on Fastify; import it as often as there
 * are pages.
 *
 * @publicApi
 */
@Module({})
export class LedgerDashboardModule {
  /** @throws Error at boot that names a ledger which the application doesn't have */
  static forRoot(options: LedgerDashboardOptions): DynamicModule {
    const { path, ledgers, imports = [] } = options;
    const guards = options.guards?.length ? options.guards : [LocalViewerGuard];
    return {
      module: LedgerDashboardModule,
      imports,
      controllers: [createDashboardController(path, guards)],
      providers: [
        {
          provide: DashboardLedgers,
          inject: [ModulesContainer],
          useFactory: (modules: ModulesContainer) =>
            new DashboardLedgers(modules, systemClock, ledgers),
        },
      ],
    };
  }
}
