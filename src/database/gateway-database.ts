import { startEmbeddedPostgres } from '@app/embedded-postgres';
import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import { join } from 'node:path';
import type { GatewaySettings } from '../gateway-settings.js';

/** Reused at each start if it is free, so that a psql session finds it again. */
const EMBEDDED_PORT = 54_320;

/** The gateway's PostgreSQL: a configured one, or an embedded one that stops with the gateway. */
export class GatewayDatabase implements OnApplicationShutdown {
  private constructor(
    readonly url: string,
    private readonly stopServer: () => Promise<void>,
  ) {}

  /**
   * A configured server need not be running yet; an embedded one accepts connections when this
   * returns.
   */
  static async open(settings: GatewaySettings): Promise<GatewayDatabase> {
    if (settings.databaseUrl) return new GatewayDatabase(settings.databaseUrl, async () => {});
    const server = await startEmbeddedPostgres({
      dataDir: join(settings.dataDir, 'postgres'),
      port: EMBEDDED_PORT,
    });
    new Logger('gateway').log(
      `embedded PostgreSQL on port ${server.port}, data in ${server.dataDir}`,
    );
    return new GatewayDatabase(server.url, () => server.stop());
  }

  /** Stops the server if it is embedded. Stopping twice is allowed. */
  stop(): Promise<void> {
    return this.stopServer();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.stop();
  }
}
