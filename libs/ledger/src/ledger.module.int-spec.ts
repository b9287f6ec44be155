import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Injectable, Module, type OnModuleInit } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { Test } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  createLedgerConfig,
  defaultLedger,
  defineLedger,
  InjectLedger,
  LedgerHealthIndicator,
  LedgerModule,
  LedgerService,
  type LedgerOptions,
  type LedgerOptionsFactory,
  isLedgerError,
} from './index.js';

const url = inject('databaseUrl');
const schema = `module_${randomUUID().slice(0, 8)}`;
const usage = defineLedger({ schema });
const audit = defineLedger({
  name: 'audit',
  schema,
  table: 'audit_entries',
  ids: 'text',
  columns: { action: 'text' },
});
const fast = { flushMs: 5 } satisfies LedgerOptions;

let admin: DataSource;

beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
});

afterAll(async () => {
  await admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await admin.destroy();
});

async function count(table: string, memo: string): Promise<number> {
  const rows: { n: string }[] = await admin.query(
    `SELECT count(*) AS n FROM ${schema}.${table} WHERE memo = $1`,
    [memo],
  );
  return Number(rows[0]!.n);
}

describe('LedgerModule', () => {
  it('writes through a connection of its own, migrates it, and reads back', async () => {
    const memo = randomUUID();
    const lines: string[] = [];
    const spillDir = await mkdtemp(join(tmpdir(), 'ledger-module-'));
    const write = (text: string): void => void lines.push(text);
    const module = await Test.createTestingModule({
      imports: [LedgerModule.forRoot({ ledger: usage, connection: { url }, spillDir, ...fast })],
    })
      .setLogger({ log: write, warn: write, error: write })
      .compile();
    const before = process.listenerCount('exit');
    const app = await module.init();
    const ledger = app.get(LedgerService);
    expect(process.listenerCount('exit'), 'it holds nothing yet').toBe(before);
    expect(ledger.record({ userId: 7, promptTokens: 3, completionTokens: 4, memo })).toBe('queued');
    const { outcome, uuid } = await ledger.recordAndWait({ userId: 7, memo, direction: 'supply' });
    expect(outcome).toBe('written');
    expect(await count('usage_entries', memo)).toBe(2);
    expect(await ledger.summary({ userId: 7 })).toMatchObject({ consumedTokens: 7, entries: 2 });
    const recent = await ledger.listRecent({ userId: '7' });
    expect(recent.entries[0]).toMatchObject({ uuid, userId: '7', memo, direction: 'supply' });
    expect(ledger.stats()).toMatchObject({ state: 'running', written: 2 });
    await app.close();
    expect(process.listenerCount('exit')).toBe(before);
    expect(ledger.record({ userId: 7 }), 'after the seal').toBe('queued');
    expect(process.listenerCount('exit')).toBe(before + 1);
    expect(ledger.stats()).toMatchObject({ queued: 3, written: 2, spilled: 1, sealed: 0 });
    // Nest has one logger a process: a line that comes later would be in another test's.
    const told = expect.stringMatching(/sealed, spilling entry \(1 spilled in the last .+\.wal$/);
    await expect.poll(() => lines, { timeout: 10_000 }).toContainEqual(told);
    await expect.poll(() => process.listenerCount('exit')).toBe(before);
    expect(await readdir(spillDir)).toEqual([expect.stringMatching(/^spill-default--.+-1\.wal$/)]);
    lines.length = 0;
    const next = await Test.createTestingModule({
      imports: [LedgerModule.forRoot({ ledger: usage, connection: { url }, spillDir, ...fast })],
    })
      .setLogger({ log: write, warn: write, error: write })
      .compile();
    await next.init();
    await next.close();
    const left =
      /^WARNING: 1 file of earlier runs in .+ wait to be written back \(.+\): npx nestjs-ledger replay \S+ -d </;
    expect(lines).toContainEqual(expect.stringMatching(left));
    await rm(spillDir, { recursive: true });
  });

  it('runs two ledgers side by side, each injected by its token', async () => {
    const memo = randomUUID();

    @Injectable()
    class Meter {
      constructor(
        readonly usageLedger: LedgerService,
        @InjectLedger(audit) readonly auditLedger: LedgerService<typeof audit>,
        readonly health: LedgerHealthIndicator,
      ) {}
    }

    const module = await Test.createTestingModule({
      imports: [
        LedgerModule.forRoot({ ledger: usage, connection: { url }, ...fast }),
        LedgerModule.forRoot({ ledger: audit, connection: { url }, ...fast }),
      ],
      providers: [Meter],
    }).compile();
    const app = await module.init();
    const meter = app.get(Meter);
    await meter.usageLedger.recordAndWait({ userId: 1, memo });
    await meter.auditLedger.recordAndWait({ userId: 'ann', memo, action: 'login' });
    expect(await count('usage_entries', memo)).toBe(1);
    expect(await count('audit_entries', memo)).toBe(1);
    expect(await meter.health.isHealthy('ledger')).toMatchObject({ ledger: { status: 'up' } });
    await app.close();
  });

  it('leaves in a file what was recorded before a boot that failed', async () => {
    const spillDir = await mkdtemp(join(tmpdir(), 'nestjs-ledger-boot-'));
    const connection = { url: 'postgres://127.0.0.1:1/nobody' };
    const options = { ledger: usage, connection, connectAtBoot: true, spillDir };

    const module = await Test.createTestingModule({
      imports: [LedgerModule.forRoot(options)],
    }).compile();
    const ledger = module.get(LedgerService);
    for (let i = 0; i < 5; i++) ledger.record({ userId: 7 });
    const startedAt = performance.now();
    await expect(module.init()).rejects.toSatisfy((error) =>
      isLedgerError(error, 'SINK_TRANSIENT'),
    );
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(ledger.stats()).toMatchObject({ spilled: 5, state: 'sealed' });
    const [file] = await readdir(spillDir);
    expect(await readFile(join(spillDir, file!), 'utf8')).toMatch(/^(?:\{.*"spilled".*\n){5}$/);
    await module.close();
    await rm(spillDir, { recursive: true });
  });

  it('fails the boot when two ledgers have one name', async () => {
    const boot = Test.createTestingModule({
      imports: [
        LedgerModule.forRoot({ ledger: usage, connection: { url } }),
        LedgerModule.forRoot({ ledger: defaultLedger, connection: { url } }),
      ],
    }).compile();
    await expect(boot.then((module) => module.init())).rejects.toSatisfy((error) =>
      isLedgerError(error, 'LEDGER_OPTIONS'),
    );
  });

  it('names the three ways to a database when there is none', async () => {
    const module = await Test.createTestingModule({ imports: [LedgerModule.forRoot()] }).compile();
    await expect(module.init()).rejects.toThrow(/connection.*dataSource.*TypeOrmModule/);
  });

  it('takes its options from a factory, a class, or an existing provider', async () => {
    @Injectable()
    class Options implements LedgerOptionsFactory {
      createLedgerOptions(): LedgerOptions {
        return { connection: { url }, batchSize: 7 };
      }
    }

    @Module({ providers: [Options], exports: [Options] })
    class OptionsModule {}

    for (const how of [
      { useFactory: () => ({ connection: { url }, batchSize: 7 }) },
      { useClass: Options },
      { imports: [OptionsModule], useExisting: Options },
    ]) {
      const module = await Test.createTestingModule({
        imports: [LedgerModule.forRootAsync({ ledger: usage, ...how })],
      }).compile();
      await module.init();
      const { settings } = module.get(LedgerService).stats();
      expect(settings['batchSize']).toEqual({ value: 7, source: 'code' });
      await module.close();
    }
  });

  it('takes its options from the configuration, with their sources', async () => {
    const config = createLedgerConfig({ defaults: { batchSize: 50 } });
    process.env['LEDGER_ASYNC_FLUSH_MS'] = '25';
    process.env['LEDGER_DATABASE_URL'] = url;
    try {
      const module = await Test.createTestingModule({
        imports: [
          ConfigModule.forRoot({ ignoreEnvFile: true }),
          LedgerModule.forRootAsync({ ledger: usage, ...config.asProvider() }),
        ],
      }).compile();
      await module.init();
      const { settings } = module.get(LedgerService).stats();
      expect(settings['flushMs']).toEqual({ value: 25, source: 'environment' });
      expect(settings['batchSize']).toEqual({ value: 50, source: 'code' });
      await module.close();
    } finally {
      delete process.env['LEDGER_ASYNC_FLUSH_MS'];
      delete process.env['LEDGER_DATABASE_URL'];
    }
  });

  it('keeps what other modules record in their own onModuleInit, and writes it', async () => {
    const memo = randomUUID();

    @Injectable()
    class Early implements OnModuleInit {
      constructor(private readonly ledger: LedgerService) {}

      onModuleInit(): void {
        expect(this.ledger.record({ userId: 1, memo })).toBe('queued');
      }
    }

    const module = await Test.createTestingModule({
      imports: [LedgerModule.forRoot({ ledger: usage, connection: { url } })],
      providers: [Early],
    }).compile();
    await module.init();
    await module.get(LedgerService).flush();
    expect(await count('usage_entries', memo)).toBe(1);
    await module.close();
  });

  it('speaks through the logger that the application set, in the words that are grepped for', async () => {
    const lines: string[] = [];
    const write = (text: string, context: string): void => void lines.push(`[${context}] ${text}`);
    const logger = { log: write, warn: write, error: write };
    const module = await Test.createTestingModule({
      imports: [LedgerModule.forRoot({ ledger: usage, connection: { url }, ...fast })],
    })
      .setLogger(logger)
      .compile();
    await module.init();
    await module.get(LedgerService).recordAndWait({ userId: 1 });
    await module.close();
    const own = lines.filter((line) => line.startsWith('[async-ledger]'));
    expect(own[0]).toBe('[async-ledger] started 1 workers: batch 100, flush 5 ms, buffer 10000');
    expect(own[1]).toMatch(
      /^\[async-ledger\] settings: batchSize 100 \(default\), flushMs 5 \(code\), /,
    );
    expect(own[2]).toMatch(
      /^\[async-ledger\] worker-0 flushed 1\/1 entries in \d+ms \(\d+ entries\/sec\)$/,
    );
    expect(own.at(-1)).toMatch(
      /^\[async-ledger\] drained: 0 written, 0 duplicate, 0 dead-lettered, 0 spilled in \d+ms$/,
    );
  });
});
