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

/** Options of a dashboard. @publicApi */
export interface LedgerDashboardOptions {
  /** Path of the page, below the application's global prefix: `/ledger`, or `/`. */
  readonly path: string;
  /**
   * Guards of the page and its events. Without guards, the address answers 404 with one exception:
   * outside production (`NODE_ENV`) a browser on the same machine, without a proxy, can use the
   * link in the log. The link contains a token, new at each start unless `LEDGER_DASHBOARD_TOKEN`
   * sets one; the page keeps it in a cookie.
   */
  readonly guards?: readonly Type<CanActivate>[];
  /** Modules whose providers the guards inject. */
  readonly imports?: DynamicModule['imports'];
  /** Ledgers to show, in this order; default: every ledger of the application, by name. */
  readonly ledgers?: readonly LedgerDefinition[];
}

/**
 * A page that shows running ledgers. It reads their snapshots, once a second while there is a
 * viewer, and changes nothing. Works on Express and on Fastify; import it once for each page.
 *
 * @publicApi
 */
@Module({})
export class LedgerDashboardModule {
  /**
   * @throws Error at boot that names a ledger missing in the application, or if
   *   `LEDGER_DASHBOARD_TOKEN` is not a token and there are no guards
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

/** Additional providers for a page without guards: its token, and the log line with it. */
function localViewerProviders(path: string): Provider[] {
  return [
    {
      provide: DashboardToken,
      useFactory: () => {
        // In production the token admits nobody, so a wrong one does not prevent the start.
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

/**
 * The prefix that `RouterModule.register` adds to the module's paths; it stores the prefix by
 * application.
 */
function modulePathIn({ applicationId }: ModulesContainer): string {
  const key = `__module_path__${applicationId}`;
  return (Reflect.getMetadata(key, LedgerDashboardModule) as string | undefined) ?? '';
}
