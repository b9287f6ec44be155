import {
  Module,
  type CanActivate,
  type DynamicModule,
  type Provider,
  type Type,
} from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import type { LedgerDefinition } from '../define-ledger.js';
import { systemClock } from '../clock/clock.js';
import { createDashboardController } from './create-dashboard-controller.js';
import { DashboardLedgers } from './dashboard-ledgers.js';
import { DashboardLink } from './dashboard-link.js';
import { DashboardToken, TOKEN_VARIABLE } from './dashboard-token.js';
import { LocalViewerGuard } from './local-viewer.guard.js';

/** How a dashboard is mounted. @publicApi */
export interface LedgerDashboardOptions {
  /** Where the page is, below the application's global prefix: `/ledger`, or `/`. */
  readonly path: string;
  /**
   * Who may look; asked for the page and for its events. Without any, the address answers 404,
   * except outside production (`NODE_ENV`) to a browser on the same machine, through no proxy, that
   * comes by the link in the log. The link has a token, new at each start unless
   * `LEDGER_DASHBOARD_TOKEN` gives one; the page keeps it in a cookie.
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
  /**
   * @throws Error at boot that names a ledger which the application doesn't have, or if
   *   `LEDGER_DASHBOARD_TOKEN` is no token and there are no guards
   */
  static forRoot(options: LedgerDashboardOptions): DynamicModule {
    const { path, ledgers, imports = [] } = options;
    const guards = options.guards?.length ? options.guards : undefined;
    return {
      module: LedgerDashboardModule,
      imports,
      controllers: [createDashboardController(path, guards ?? [LocalViewerGuard])],
      providers: [
        {
          provide: DashboardLedgers,
          inject: [ModulesContainer],
          useFactory: (modules: ModulesContainer) =>
            new DashboardLedgers(modules, systemClock, ledgers),
        },
        ...(guards === undefined ? localViewerProviders(path) : []),
      ],
    };
  }
}

/** What a page without guards needs besides: its token, and the line in the log that has it. */
function localViewerProviders(path: string): Provider[] {
  return [
    {
      provide: DashboardToken,
      useFactory: () => {
        // In production nobody gets in by it, so that a wrong one is no reason not to start.
        const isProduction = process.env['NODE_ENV'] === 'production';
        return new DashboardToken(isProduction ? undefined : process.env[TOKEN_VARIABLE]);
      },
    },
    {
      provide: DashboardLink,
      inject: [DashboardToken, HttpAdapterHost, ApplicationConfig, ModulesContainer],
      useFactory: (
        token: DashboardToken,
        host: HttpAdapterHost,
        config: ApplicationConfig,
        modules: ModulesContainer,
      ) => {
        const place = { path, modulePath: () => modulePathIn(modules) };
        return new DashboardLink(token, place, host, config);
      },
    },
  ];
}

/** What `RouterModule.register` put before the module's paths; it keeps that by application. */
function modulePathIn({ applicationId }: ModulesContainer): string {
  const key = `__module_path__${applicationId}`;
  return (Reflect.getMetadata(key, LedgerDashboardModule) as string | undefined) ?? '';
}
