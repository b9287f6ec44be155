import { BytesInFlight, endpoints, onRefusedCall, openAiError } from '@app/openai';
import type { LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { getLedgerToken, type LedgerService } from 'nestjs-ledger';
import { getHeapStatistics } from 'node:v8';
import { refuseOtherHosts } from './access/refuse-other-hosts.js';
import { AppModule } from './app.module.js';
import { findCaller, type ApiKey, type CallersRequest } from './chat/caller.js';
import { refusedEntry } from './chat/call-entry.js';
import type { GatewayDatabase } from './database/gateway-database.js';
import type { GatewaySettings } from './gateway-settings.js';
import { SlowReaders } from './intake/slow-readers.js';
import { takeBodies } from './intake/take-bodies.js';
import { usage } from './usage.ledger.js';

/** Long conversations exceed Fastify's limit of 1 MiB. */
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

/** Milliseconds for the headers of a request; a setting limits whole requests. */
const HEADERS_TIMEOUT_MS = 15_000;
/** Milliseconds between Node's checks for slow requests; its default is 30 s. */
const TIMEOUTS_CHECKED_MS = 5_000;
/** The route of all paths that are only passed through. */
const PASSED_ROUTE = '/v1/*';
const MAX_HEADER_BYTES = 16 * 1024;

/**
 * Makes the gateway, ready to `listen()`. It stops its database when it is closed, after the ledger
 * has written its entries.
 */
export async function createGateway(
  settings: GatewaySettings,
  database: GatewayDatabase,
  logger: LoggerService | false,
): Promise<NestFastifyApplication> {
  const adapter = createAdapter(settings);
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.forRoot(settings, database),
    adapter,
    // An error at boot goes to the caller, who must stop the database.
    { logger, abortOnError: false, bodyParser: false },
  );
  takeRequests(app, settings);
  bookRefusedCalls(app);
  return app;
}

/**
 * Limits the requests that an application accepts; it must have been made without a body parser.
 */
export function takeRequests(app: NestFastifyApplication, settings: GatewaySettings): void {
  new SlowReaders(app.getHttpServer(), settings.clientTimeoutMs);
  takeBodies(app.getHttpAdapter().getInstance(), {
    maxBytes: BODY_LIMIT_BYTES,
    inFlight: new BytesInFlight(settings.bytesInFlight ?? shareOfHeap()),
    anyTypeRoute: settings.upstreamPassThrough.length > 0 ? PASSED_ROUTE : undefined,
  });
}

/** The HTTP server with its limits; it answers only authorised callers. */
export function createAdapter(settings: GatewaySettings): FastifyAdapter {
  const adapter = createServer(settings);
  if (settings.apiKeys.length > 0) askForKeys(adapter, settings.apiKeys);
  else refuseOtherHosts(adapter.getInstance(), settings.hosts);
  return adapter;
}

function createServer(settings: GatewaySettings): FastifyAdapter {
  return new FastifyAdapter({
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: settings.requestTimeoutMs,
    // A client that no longer reads its stream; silence of the upstream is no fault of the client.
    connectionTimeout: settings.upstreamTimeoutMs + settings.requestTimeoutMs,
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: Math.min(TIMEOUTS_CHECKED_MS, settings.requestTimeoutMs),
      maxHeaderSize: MAX_HEADER_BYTES,
    },
  });
}

/**
 * Answers 401 without a valid key, before the body is read. Checked by route, because a path has
 * many spellings.
 */
function askForKeys(adapter: FastifyAdapter, keys: readonly ApiKey[]): void {
  adapter.getInstance().addHook('onRequest', async (request: CallersRequest, reply) => {
    if (!request.routeOptions.url?.startsWith('/v1/')) return;
    request.caller = findCaller(keys, request.headers);
    if (request.caller) return;
    const error = openAiError('Incorrect API key provided.', { code: 'invalid_api_key' });
    return reply.status(401).header('www-authenticate', 'Bearer').send(error);
  });
}

/**
 * Records the calls that no handler sees. A call without a key belongs to no user, and is not
 * recorded.
 */
function bookRefusedCalls(app: NestFastifyApplication): void {
  const ledger = app.get<LedgerService<typeof usage>>(getLedgerToken(usage));
  const server = app.getHttpAdapter().getInstance();
  const paths = Object.values(endpoints).map(({ path }) => `/v1${path}`);
  onRefusedCall(server, [...paths, PASSED_ROUTE], ({ request, status, isAborted }) => {
    ledger.record(refusedEntry(request, status, isAborted ? 'aborted' : 'failed'));
  });
}

/**
 * One caller may use at most half of it. A body exists up to four times while it is read and
 * checked, and garbage needs as much.
 */
function shareOfHeap(): number {
  return Math.floor(getHeapStatistics().heap_size_limit / 8);
}
