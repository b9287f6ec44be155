import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { randomUUID } from 'node:crypto';
import { LedgerService, type LedgerStats } from 'nestjs-ledger';
import pg from 'pg';
import { expect, inject, vi } from 'vitest';
import { createGateway } from '../../src/create-gateway.js';
import { GatewayDatabase } from '../../src/database/gateway-database.js';
import { readGatewaySettings } from '../../src/gateway-settings.js';
import { gatewayData } from './gateway-data.js';
import { PATIENCE } from './patience.js';

/** A gateway in this process with its own schema, and its rows. */
export class MeteredGateway {
  private constructor(
    private readonly app: NestFastifyApplication,
    private readonly admin: pg.Client,
    private readonly schema: string,
    /** Without a slash at the end. */
    readonly url: string,
  ) {}

  static async start(environment: Record<string, string>): Promise<MeteredGateway> {
    const schema = `metered_${randomUUID().replaceAll('-', '')}`;
    const admin = new pg.Client({ connectionString: inject('databaseUrl') });
    await admin.connect();
    await admin.query(`CREATE SCHEMA ${schema}; SET search_path = ${schema}`);
    const settings = readGatewaySettings({
      DATABASE_URL: `${inject('databaseUrl')}?options=-csearch_path%3D${schema}`,
      // Without keys a gateway with a paid key starts only where that is said.
      HOST: '127.0.0.1',
      DATA_DIR: gatewayData(),
      ...environment,
    });
    const app = await createGateway(settings, await GatewayDatabase.open(settings), false);
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    const gateway = new MeteredGateway(app, admin, schema, url);
    // The ledger makes its table, column by column, beside the boot.
    const isReady = async () => expect((await fetch(`${url}/health/startup`)).status).toBe(200);
    await vi.waitFor(isReady, PATIENCE);
    await gateway.forget();
    return gateway;
  }

  /** The rows in the table, oldest first, once there are as many as expected. */
  async rows(count: number): Promise<any[]> {
    let rows: any[] = [];
    const areThere = async () => {
      await this.app.get(LedgerService).flush();
      const sql = 'SELECT * FROM usage_entries ORDER BY created_at, uuid';
      rows = (await this.admin.query(sql)).rows;
      expect(rows.length).toBeGreaterThanOrEqual(count);
    };
    await vi.waitFor(areThere, PATIENCE);
    expect(rows).toHaveLength(count);
    return rows;
  }

  /** The ledger's figures once none of its entries is under way any more. */
  async settledStats(): Promise<LedgerStats> {
    await this.app.get(LedgerService).flush();
    return this.app.get(LedgerService).stats();
  }

  /** Asks the gateway's own schema. */
  async query(sql: string, values: unknown[] = []): Promise<any[]> {
    return (await this.admin.query(sql, values)).rows;
  }

  async forget(): Promise<void> {
    await this.app.get(LedgerService).flush();
    await this.admin.query('TRUNCATE usage_entries');
  }

  /** Ends the gateway; its rows can still be read. */
  async close(): Promise<void> {
    await this.app.close();
  }

  async stop(): Promise<void> {
    await this.close();
    await this.admin.query(`DROP SCHEMA ${this.schema} CASCADE`);
    await this.admin.end();
  }
}
