import { Logger, RequestMethod } from '@nestjs/common';
import type { ApplicationConfig, HttpAdapterHost } from '@nestjs/core';
import type { Server } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import { TOKEN_PARAMETER, type DashboardToken } from './dashboard-token.js';
import { isLoopback } from './is-loopback.js';

/** What an excluded route may be excluded for, so that it concerns a page; -1 is Nest's own for all. */
const EXCLUDING_METHODS: readonly number[] = [RequestMethod.GET, RequestMethod.ALL, -1];

/** Where a page without guards is, as far as the module was told. @internal */
export interface DashboardPlace {
  /** As given to `LedgerDashboardModule.forRoot`. */
  readonly path: string;
  /** What `RouterModule` puts before it; known once the application has its routes. */
  readonly modulePath: () => string;
}

/**
 * Tells the developer the address of a dashboard without guards, once the server listens: the one
 * line that has the token.
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
    if (process.env['NODE_ENV'] === 'production') return;
    this.host.listen$.subscribe(() => this.#tell());
  }

  #tell(): void {
    const server = this.host.httpAdapter?.getHttpServer() as Server | undefined;
    const address = server?.address();
    // A socket in the file system has no port that a browser could open.
    if (server === undefined || !address || typeof address === 'string') return;
    const path = this.#path();
    if (!isLoopback(address.address) && !/^(0\.0\.0\.0|::)$/.test(address.address)) {
      this.#logger.warn(
        `the dashboard at ${path} is not shown: it has no guards, so it is for this machine's loopback ` +
          `address, and the server listens on ${address.address} only. Give it guards.`,
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

/** One slash before each part and none at the end; `/` if there is no part. */
function joined(...parts: readonly string[]): string {
  const names = parts.flatMap((part) => part.split('/')).filter((name) => name !== '');
  return `/${names.join('/')}`;
}
