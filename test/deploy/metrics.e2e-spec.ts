import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { LedgerService } from 'nestjs-ledger';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createGateway } from '../../src/create-gateway.js';
import { GatewayDatabase } from '../../src/database/gateway-database.js';
import { readGatewaySettings } from '../../src/gateway-settings.js';
import { gatewayData } from '../support/gateway-data.js';

const SCHEMA = `metrics_${process.pid}_${Date.now()}`;

let app: NestFastifyApplication;
let admin: pg.Client;

beforeAll(async () => {
  admin = new pg.Client({ connectionString: inject('databaseUrl') });
  await admin.connect();
  await admin.query(`CREATE SCHEMA ${SCHEMA}`);
  const settings = readGatewaySettings({
    DATABASE_URL: `${inject('databaseUrl')}?options=-csearch_path%3D${SCHEMA}`,
    DATA_DIR: gatewayData(),
  });
  app = await createGateway(settings, await GatewayDatabase.open(settings), false);
  await app.listen(0, '127.0.0.1');
});

afterAll(async () => {
  await app?.close();
  await admin.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
  await admin.end();
});

describe('GET /metrics', () => {
  it('answers with the figures of the ledger and the process, as Prometheus reads them', async () => {
    const ledger = app.get(LedgerService);
    ledger.record({ userId: 'metered', promptTokens: 1 });
    await ledger.flush();
    const response = await fetch(`${await app.getUrl()}/metrics`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    expect(text).toContain('\nledger_entries_total{ledger="default",outcome="written"} 1\n');
    expect(text).toContain('\nledger_batches_total{ledger="default",due="awaited"} 1\n');
    expect(text).toContain('\nledger_flush_duration_seconds_count{ledger="default"} 1\n');
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds /m);
  });
});
