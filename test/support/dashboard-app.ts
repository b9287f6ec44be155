import {
  Controller,
  Get,
  Injectable,
  Module,
  type CanActivate,
  type DynamicModule,
  type ExecutionContext,
  type INestApplication,
  type LoggerService,
  type ModuleMetadata,
} from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { defaultLedger, defineLedger } from 'nestjs-ledger';
import { LedgerDashboardModule, type LedgerDashboardOptions } from 'nestjs-ledger/dashboard';
import { LedgerTestingModule } from 'nestjs-ledger/testing';
import type { Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import { vi } from 'vitest';
import { EventStream } from './event-stream.js';

/** Of dashboards without guards, unless a test stubs another. */
export const TOKEN = 'the-token-of-these-tests';
export const KEY = `ledger-token=${TOKEN}`;
/** Below the global prefix of a test, these paths are without it. */
const WITHOUT_PREFIX = ['bare', 'bare/*path'];

export const billing = defineLedger({ name: 'billing' });

@Injectable()
class KeyRing {
  readonly key = 'open sesame';
}

@Module({ providers: [KeyRing], exports: [KeyRing] })
export class KeyModule {}

/** Wants `?key=open sesame`. */
@Injectable()
export class KeyGuard implements CanActivate {
  constructor(private readonly ring: KeyRing) {}

  canActivate(context: ExecutionContext): boolean {
    const { query } = context.switchToHttp().getRequest<{ query: Record<string, string> }>();
    return query['key'] === this.ring.key;
  }
}

@Controller()
class HomeController {
  @Get()
  home(): string {
    return 'home';
  }
}

export type Platform = 'express' | 'fastify';

export interface Setup {
  readonly platform: Platform;
  /** Default: one at `/ledger`, without guards. */
  readonly dashboards?: readonly LedgerDashboardOptions[];
  readonly prefix?: string;
  readonly host?: string;
  /** What the log says goes here. */
  readonly lines?: string[];
  readonly imports?: NonNullable<ModuleMetadata['imports']>;
}

/** An application with dashboards; one at a time. */
export class DashboardApp {
  #app: INestApplication | undefined;
  readonly #streams: EventStream[] = [];

  get app(): INestApplication {
    if (this.#app === undefined) throw new Error('no application runs');
    return this.#app;
  }

  /** @returns its address, without a slash at the end */
  async start(setup: Setup): Promise<string> {
    const { platform, dashboards, prefix, host = '127.0.0.1', lines, imports = [] } = setup;
    if (process.env['LEDGER_DASHBOARD_TOKEN'] === undefined) {
      vi.stubEnv('LEDGER_DASHBOARD_TOKEN', TOKEN);
    }
    const pages: DynamicModule[] = (dashboards ?? [{ path: '/ledger' }]).map((options) =>
      LedgerDashboardModule.forRoot(options),
    );
    const ledgers = LedgerTestingModule.forRoot({ ledgers: [defaultLedger, billing] });
    const builder = Test.createTestingModule({
      imports: [ledgers, ...pages, ...imports],
      controllers: [HomeController],
    });
    if (lines !== undefined) builder.setLogger(loggerInto(lines));
    const testing = await builder.compile();
    const adapter = platform === 'express' ? new ExpressAdapter() : new FastifyAdapter();
    const app = testing.createNestApplication(adapter as ExpressAdapter);
    if (prefix !== undefined) app.setGlobalPrefix(prefix, { exclude: WITHOUT_PREFIX });
    await app.listen(0, host);
    this.#app = app;
    return (await app.getUrl()).replace('[::1]', '127.0.0.1');
  }

  async open(url: string, headers: Record<string, string> = {}): Promise<EventStream> {
    const stream = await EventStream.open(url, headers);
    this.#streams.push(stream);
    return stream;
  }

  async stop(): Promise<void> {
    for (const stream of this.#streams.splice(0)) stream.close();
    // A connection that the client keeps would hold the server open for seconds.
    (this.#app?.getHttpServer() as Server | undefined)?.closeAllConnections();
    await this.#app?.close();
    this.#app = undefined;
  }
}

export async function statusOf(url: string, headers: Record<string, string> = {}): Promise<number> {
  const abort = new AbortController();
  const { status } = await fetch(url, { headers, signal: abort.signal });
  // The connection goes, or it would hold the server open until the client forgets it.
  abort.abort();
  return status;
}

/** An address of this machine that others reach; undefined if it has none. */
export function outerAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}

function loggerInto(lines: string[]): LoggerService {
  const take = (text: unknown): void => void lines.push(String(text));
  return { log: take, warn: take, error: take, fatal: take, debug: take, verbose: take };
}
