import type { LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import type { GatewayDatabase } from './database/gateway-database.js';
import type { GatewaySettings } from './gateway-settings.js';

/** Long conversations are larger than Fastify's own limit of 1 MiB. */
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

/**
 * Makes the gateway, ready to `listen()`. It stops its database when it is closed, after the ledger
 * has written what it held.
 */
export function createGateway(
  settings: GatewaySettings,
  database: GatewayDatabase,
  logger: LoggerService | false,
): Promise<NestFastifyApplication> {
  return NestFactory.create<NestFastifyApplication>(
    AppModule.forRoot(settings, database),
    new FastifyAdapter({ bodyLimit: BODY_LIMIT_BYTES }),
    // An error at boot goes to the caller, who still has a database to stop.
    { logger, abortOnError: false },
  );
}
