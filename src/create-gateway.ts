import { openAiError } from '@app/openai';
import type { LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { findCaller, type ApiKey, type CallersRequest } from './chat/caller.js';
import type { GatewayDatabase } from './database/gateway-database.js';
import type { GatewaySettings } from './gateway-settings.js';

/** Long conversations are larger than Fastify's own limit of 1 MiB. */
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

/** A request that is not here after this time is given up, its headers alone sooner. */
const REQUEST_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 15_000;
const MAX_HEADER_BYTES = 16 * 1024;

/**
 * Makes the gateway, ready to `listen()`. It stops its database when it is closed, after the ledger
 * has written what it held.
 */
export async function createGateway(
  settings: GatewaySettings,
  database: GatewayDatabase,
  logger: LoggerService | false,
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // A client that no longer reads its stream; the upstream's silence is no fault of the client.
    connectionTimeout: settings.upstreamTimeoutMs + REQUEST_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS, maxHeaderSize: MAX_HEADER_BYTES },
  });
  if (settings.apiKeys.length > 0) askForKeys(adapter, settings.apiKeys);
  return NestFactory.create<NestFastifyApplication>(
    AppModule.forRoot(settings, database),
    adapter,
    // An error at boot goes to the caller, who still has a database to stop.
    { logger, abortOnError: false },
  );
}

/** Answers 401 to whoever has no key, before the body is read. By route: a path has many spellings. */
function askForKeys(adapter: FastifyAdapter, keys: readonly ApiKey[]): void {
  adapter.getInstance().addHook('onRequest', async (request: CallersRequest, reply) => {
    if (!request.routeOptions.url?.startsWith('/v1/')) return;
    request.caller = findCaller(keys, request.headers.authorization);
    if (request.caller) return;
    const error = openAiError('Incorrect API key provided.', { code: 'invalid_api_key' });
    return reply.status(401).header('www-authenticate', 'Bearer').send(error);
  });
}
