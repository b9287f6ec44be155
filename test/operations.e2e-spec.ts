import { Logger, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  defineLedger,
  LedgerHealthIndicator,
  LedgerModule,
  type LedgerOptions,
  type LedgerService,
} from 'nestjs-ledger';
import { registerLedgerMetrics } from 'nestjs-ledger/prometheus';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { FaultDatabase } from './faults/support/fault-database.js';
import { startLedgerModule } from './faults/support/ledger-module.js';

const PAGE = new URL('../docs/operations.md', import.meta.url);
const PATIENCE = { timeout: 60_000, interval: 30 };
const TABLE = 'ops.usage_entries';

let database: FaultDatabase;
let sections: Map<string, string>;
let folder: string;
let lines: string[];
let app: INestApplicationContext;
let ledger: LedgerService;
let registry: Registry;
let locker: ReturnType<FaultDatabase['client']> | undefined;

beforeAll(async () => {
  database = await FaultDatabase.start();
  const page = await readFile(PAGE, 'utf8');
  const parts = page.split(/^## /m).slice(1);
  sections = new Map(parts.map((part) => [part.slice(0, part.indexOf('\n')), part]));
  // The first one names no trouble.
  sections.delete('Which ledger a command is for');
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-operations-'));
  lines = [];
  const keep = (line: unknown): void => void lines.push(String(line));
  Logger.overrideLogger({ log: keep, warn: keep, error: keep });
});
afterEach(async () => {
  await locker?.end();
  locker = undefined;
  await app?.close();
  Logger.overrideLogger(false);
  await database.sql('DROP SCHEMA IF EXISTS ops CASCADE');
  await rm(folder, { recursive: true, force: true });
});
afterAll(() => database?.dispose());

async function start(options: LedgerOptions = {}, url = database.url): Promise<void> {
  const limits = { writeTimeoutMs: 20_000, retryMinMs: 10, retryMaxMs: 50, flushMs: 10 };
  const spillDir = join(folder, 'spill');
  const given = { connection: { url }, spillDir, ...limits, ...options };
  ({ app, ledger } = await startLedgerModule('ops', given, false, true));
  registry = new Registry();
  registerLedgerMetrics(registry, ledger);
}

/** A symptom is only looked for as the page names it. */
function named(section: string, symptom: string): string {
  expect(sections.get(section), `${section} names the symptom`).toContain(symptom);
  return symptom;
}

async function untilLogged(section: string, symptom: string): Promise<string> {
  const text = named(section, symptom);
  return vi.waitFor(() => {
    const line = lines.find((each) => each.includes(text));
    expect(line, lines.join('\n')).toBeDefined();
    return line!;
  }, PATIENCE);
}

async function untilMetric(section: string, symptom: string): Promise<void> {
  const [name = '', rest = ''] = named(section, symptom).split('{');
  const label = rest.replace('}', '');
  await vi.waitFor(async () => {
    const scraped = (await registry.metrics()).split('\n');
    const found = scraped.find((each) => each.startsWith(name) && each.includes(label));
    expect(Number(found?.split(' ').at(-1)), symptom).toBeGreaterThan(0);
  }, PATIENCE);
}

async function untilReason(section: string, symptom: string, kind: 'isHealthy' | 'isReady') {
  named(section, symptom);
  const health = app.get(LedgerHealthIndicator, { strict: false });
  await vi.waitFor(async () => {
    const { ledger: answer } = (await health[kind]('ledger')) as Record<
      string,
      { reason?: string }
    >;
    expect(answer?.reason).toContain(symptom);
  }, PATIENCE);
}

async function lockTable(): Promise<void> {
  locker = database.client();
  await locker.connect();
  await locker.query(`BEGIN; LOCK TABLE ${TABLE} IN ACCESS EXCLUSIVE MODE`);
}

describe('the symptoms of docs/operations.md', { timeout: 120_000 }, () => {
  it('high p99: callers wait for room', async () => {
    await start({ bufferSize: 2, batchSize: 1, overflow: 'block', blockTimeoutMs: 100_000 });
    await lockTable();
    const waits = Array.from({ length: 5 }, () =>
      ledger.recordAndWait({ userId: 1 }, { until: 'queued' }),
    );
    await untilMetric('High p99', 'ledger_waiting_callers');
    await untilMetric('High p99', 'ledger_saturation_ratio');
    await untilReason('High p99', 'the channel is full', 'isReady');
    await locker!.query('ROLLBACK');
    expect(await Promise.all(waits)).toHaveLength(5);
  });

  it('entries dropped: a line, a counter and health', async () => {
    await start({ bufferSize: 2, batchSize: 1 });
    await lockTable();
    ledger.recordMany(Array.from({ length: 9 }, () => ({ userId: 1 })));
    await untilLogged('Entries dropped', 'WARNING: channel full, dropping entry');
    await untilMetric('Entries dropped', 'ledger_entries_total{outcome="dropped"}');
    await vi.waitFor(() => {
      ledger.record({ userId: 1 });
      expect(ledger.stats().saturation).toBe(1);
    }, PATIENCE);
    await untilReason('Entries dropped', 'the channel is 100 % full', 'isHealthy');
  });

  it('pool exhausted: 53300 in the log and in the retries', async () => {
    await database.sql(`CREATE ROLE ops_role LOGIN SUPERUSER PASSWORD 'pass'`);
    const url = new URL(database.url);
    [url.username, url.password] = ['ops_role', 'pass'];
    await start({}, url.href);
    // Superusers have no limit.
    await database.sql(`GRANT ALL ON SCHEMA ops TO ops_role;
      GRANT ALL ON ALL TABLES IN SCHEMA ops TO ops_role;
      ALTER ROLE ops_role NOSUPERUSER CONNECTION LIMIT 0;
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'ops_role'`);
    ledger.record({ userId: 1 });
    await untilMetric('Pool exhausted', 'ledger_retries_total{class="too_many_connections"}');
    await untilLogged('Pool exhausted', '(53300)');
    await database.sql('ALTER ROLE ops_role CONNECTION LIMIT -1');
    await vi.waitFor(() => expect(ledger.stats().written).toBe(1), PATIENCE);
    await app.close();
    await database.sql('DROP SCHEMA ops CASCADE; DROP OWNED BY ops_role; DROP ROLE ops_role');
  });

  it('halted: a line, the state and health, until the table is back', async () => {
    await start();
    await database.sql(`ALTER TABLE ${TABLE} RENAME TO elsewhere`);
    ledger.record({ userId: 1 });
    await untilLogged('Halted', 'halted:');
    await untilMetric('Halted', 'ledger_state{state="halted"}');
    await untilReason('Halted', 'the server refuses every batch', 'isHealthy');
    await database.sql('ALTER TABLE ops.elsewhere RENAME TO usage_entries');
    await vi.waitFor(() => expect(ledger.stats().written).toBe(1), PATIENCE);
  });

  it('dead letters: a line, a counter, and the query of the page', async () => {
    await start();
    await database.sql(`ALTER TABLE ${TABLE} ADD CONSTRAINT mine CHECK (user_id <> 7)`);
    ledger.recordMany([{ userId: 7 }, { userId: 8 }]);
    await untilLogged('Dead letters', 'WARNING: dead-lettered');
    await untilMetric('Dead letters', 'ledger_entries_total{outcome="dead_lettered"}');
    const [, query = ''] = /```sql\n(.*?)```/s.exec(sections.get('Dead letters') ?? '') ?? [];
    const rows = await database.sql(`SET search_path = ops; ${query}`);
    expect(rows).toMatchObject([{ reason: 'refused', sql_state: '23514', count: '1' }]);
  });

  it('rows not stored: a line, a counter, and the query of the page names what took them', async () => {
    await start();
    await database.sql(`CREATE FUNCTION ops.drop_seven() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN IF NEW.user_id = 7 THEN RETURN NULL; END IF; RETURN NEW; END$$;
      CREATE TRIGGER drop_seven BEFORE INSERT ON ${TABLE} FOR EACH ROW
      EXECUTE FUNCTION ops.drop_seven()`);
    ledger.recordMany([{ userId: 7 }, { userId: 8 }]);
    await untilLogged('Rows not stored', 'WARNING: the server took rows that');
    await untilMetric('Rows not stored', 'ledger_not_stored_total');
    const [, query = ''] = /```sql\n(.*?)```/s.exec(sections.get('Rows not stored') ?? '') ?? [];
    const rows = await database.sql(`SET search_path = ops; ${query}`);
    expect(rows).toEqual([
      { name: 'drop_seven', definition: expect.stringContaining('BEFORE INSERT') },
    ]);
  });

  it('slow drain: the state, then a line and a file', async () => {
    await start({ shutdownTimeoutMs: 4_000 });
    await lockTable();
    ledger.recordMany([{ userId: 1 }, { userId: 2 }]);
    const closed = app.close();
    await untilMetric('Slow drain', 'ledger_state{state="draining"}');
    await untilReason('Slow drain', 'the process is stopping', 'isHealthy');
    await closed;
    expect(await untilLogged('Slow drain', 'drained:')).toMatch(/ 2 spilled/);
    expect(await readdir(join(folder, 'spill'))).toHaveLength(1);
  });

  it('disk full: that of the server, and that of the application', async () => {
    await start();
    await database.sql(`CREATE FUNCTION ops.full() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER full_disk BEFORE INSERT ON ${TABLE} EXECUTE FUNCTION ops.full()`);
    ledger.record({ userId: 1 });
    expect(await untilLogged('Disk full', 'writing fails:')).toContain('(53100)');
    await untilMetric('Disk full', 'ledger_retries_total{class="resources"}');
    await database.sql(`DROP TRIGGER full_disk ON ${TABLE}`);
    await vi.waitFor(() => expect(ledger.stats().written).toBe(1), PATIENCE);
    await app.close();
    await writeFile(join(folder, 'taken'), '');
    await start({ spillDir: join(folder, 'taken', 'below') });
    await untilReason('Disk full', 'the spill directory cannot be written', 'isHealthy');
  });

  it('slow reads: a line, and how far rollups are behind', async () => {
    await start();
    await database.sql('DROP INDEX ops.usage_entries_late');
    await untilLogged('Slow reads', 'refresh the rollups of');
    const ask = /`(SELECT [^`]+)`/.exec(sections.get('Slow reads')!)![1]!;
    const [row] = await database.sql(`SET search_path = ops; ${ask}`);
    expect(row).toHaveProperty('closed_before');
  });

  it('foreign function: a line at the start, and the next migration restores it', async () => {
    const usage = defineLedger({ schema: 'ops', immutable: true });
    const boot = async (migrations: 'run' | 'verify'): Promise<void> => {
      lines = [];
      const connection = { url: database.url };
      const options = { ledger: usage, connection, migrations, connectAtBoot: true };
      app = await NestFactory.createApplicationContext({
        module: class Ops {},
        imports: [LedgerModule.forRoot(options)],
      });
    };
    await boot('run');
    await app.close();
    await database.sql(`ALTER TABLE ${TABLE} DISABLE TRIGGER usage_entries_immutable;
      CREATE OR REPLACE FUNCTION ops.usage_entries_immutable() RETURNS trigger LANGUAGE plpgsql
      AS 'BEGIN RETURN NULL; END'`);
    await boot('verify');
    const line = await untilLogged('Foreign function', 'WARNING: function');
    expect(line).toContain('usage_entries_immutable');
    await untilLogged('Foreign function', 'WARNING: trigger');
    await app.close();
    await boot('run');
    await expect(database.sql(`DELETE FROM ${TABLE}`)).rejects.toMatchObject({ code: '23001' });
  });

  it('are asked for by statements that the server takes', async () => {
    await start();
    const statements = [...sections.values()].flatMap((section) =>
      [...section.matchAll(/`(SELECT [^`]+)`|```sql\n(.*?)```/gs)].map(
        ([, inline, block]) => inline ?? block ?? '',
      ),
    );
    expect(statements.length).toBeGreaterThan(4);
    for (const sql of statements) await database.sql(`SET search_path = ops, public; ${sql}`);
  });

  it('are all of the page: each trouble is brought about here', async () => {
    const source = await readFile(new URL(import.meta.url), 'utf8');
    expect(sections.size).toBe(10);
    for (const section of sections.keys()) expect(source).toContain(`('${section}', '`);
  });
});
