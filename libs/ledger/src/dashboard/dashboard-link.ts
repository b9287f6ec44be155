import { Logger, RequestMethod } from '@nestjs/common';
import type { ApplicationConfig, HttpAdapterHost } from '@nestjs/core';
import type { Server } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { TOKEN_PARAMETER, type DashboardToken } from './dashboard-token.js';
import { isLoopback } from './is-loopback.js';

/** Methods of an excluded route that include pages; -1 is Nest's own value for all. */
const EXCLUDING_METHODS: readonly number[] = [RequestMethod.GET, RequestMethod.ALL, -1];

/** Location of a page without guards, as far as the module knows it. @internal */
export interface DashboardPlace {
  /** As given to `LedgerDashboardModule.forRoot`. */
  readonly path: string;
  /** Prefix added by `RouterModule`; known once the application has its routes. */
  readonly modulePath: () => string;
}

/**
 * Logs the address of a dashboard without guards for the developer, once the server listens: the
 * only line with the token.
 *
 * @internal
 */
export class DashboardLink {
  readonly #logger = new Logger('ledger-dashboard');

  constructor(
    private readonly token: DashboardToken,
    private readonly place: DashboardPlace,
    private readonly host: HttpAdapterHost,
    private readonly config: ApplicationConfig,
  ) {}

  onModuleInit(): void {
    this.host.listen$.subscribe(() => this.#tell());
  }

  #tell(): void {
    const server = this.host.httpAdapter?.getHttpServer() as Server | undefined;
    const address = server?.address();
    // A socket in the file system has no port for a browser.
    if (server === undefined || !address || typeof address === 'string') return;
    const path = this.#path();
    if (process.env['NODE_ENV'] === 'production') {
      this.#logger.log(`the dashboard at ${path} is closed: in production it needs guards`);
      return;
    }
    if (!isLoopback(address.address) && !/^(0\.0\.0\.0|::)$/.test(address.address)) {
      this.#logger.warn(
        `the dashboard at ${path} is not shown: without guards it is served at the loopback address only, and ` +
          `the server listens on ${address.address} only. Give it guards.`,
      );
      return;
    }
    const origin = `${server instanceof TlsServer ? 'https' : 'http'}://localhost:${address.port}`;
    this.#logger.log(
      `dashboard, for a browser on this machine: ${origin}${path}?${TOKEN_PARAMETER}=${this.token.value}`,
    );
  }

  #path(): string {
    const { path, modulePath } = this.place;
    const own = joined(modulePath(), path);
    const { exclude = [] } = this.config.getGlobalPrefixOptions();
    const isExcluded = exclude.some(
      ({ pathRegex, requestMethod }) =>
        EXCLUDING_METHODS.includes(requestMethod) && pathRegex.test(own),
    );
    return isExcluded ? own : joined(this.config.getGlobalPrefix(), own);
  }
}

/** One slash before each part and none at the end; `/` without parts. */
function joined(...parts: readonly string[]): string {
  const names = parts.flatMap((part) => part.split('/')).filter((name) => name !== '');
  return `/${names.join('/')}`;
}
