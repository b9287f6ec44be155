import { ConsoleLogger, Logger, ShutdownSignal } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { existsSync } from 'node:fs';
import { createGateway } from './create-gateway.js';
import { GatewayDatabase } from './database/gateway-database.js';
import { readGatewaySettings } from './gateway-settings.js';

async function bootstrap(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const settings = readGatewaySettings(process.env);
  // Colour codes inside a line would hide `[async-ledger]` from grep. With a pipe, `isTTY` is
  // undefined, for which the logger would use its default: colours.
  const logger = new ConsoleLogger({ colors: Boolean(process.stdout.isTTY) });
  Logger.overrideLogger(logger);
  const database = await GatewayDatabase.open(settings);
  let app: NestFastifyApplication | undefined;
  try {
    app = await createGateway(settings, database, logger);
    app.enableShutdownHooks([ShutdownSignal.SIGTERM, ShutdownSignal.SIGINT], {
      useProcessExit: true,
    });
    await app.listen(settings.port, settings.host);
    process.stdout.write(whereToLook(await app.getUrl()));
  } catch (error) {
    await app?.close();
    await database.stop();
    throw error;
  }
}

function whereToLook(address: string): string {
  const url = `http://localhost:${new URL(address).port || 80}`;
  const messages = [{ role: 'user', content: 'Hello' }];
  const body = { model: 'gpt-4o-mini', user: 'alice', messages };
  return `
  The gateway listens on ${url}

  health   ${url}/health
  metrics  ${url}/metrics
  usage    ${url}/v1/usage/summary?userId=alice
  entries  ${url}/v1/usage/entries?userId=alice

  curl ${url}/v1/chat/completions -H 'content-type: application/json' -d '${JSON.stringify(body)}'

`;
}

bootstrap().catch((error: unknown) => {
  new Logger('gateway').fatal(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
