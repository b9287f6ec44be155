import type { DynamicModule } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  createLedgerConfig,
  defaultLedger,
  defineLedger,
  getLedgerToken,
  ledgerConfig,
  LedgerModule,
  type LedgerDefinition,
  type LedgerService,
} from './index.js';
import { LedgerTestingModule } from './testing/index.js';

const usage = defineLedger({ name: 'usage', ids: 'text' });
const audit = defineLedger({ name: 'audit', table: 'audit_entries' });
const usageConfig = createLedgerConfig(usage, {
  defaults: { batchSize: 50, connection: { url: 'postgres://127.0.0.1:1/nobody' } },
});

afterEach(() => {
  vi.unstubAllEnvs();
});

/** Closed again, whether it came up or not. */
async function boot(...imports: DynamicModule[]): Promise<void> {
  const module = await Test.createTestingModule({
    imports: [ConfigModule.forRoot({ ignoreEnvFile: true }), ...imports],
  })
    .setLogger({ log: () => {}, warn: () => {}, error: () => {} })
    .compile();
  try {
    await module.init();
  } finally {
    await module.close();
  }
}

describe('a ledger and its configuration', () => {
  it('need the definition once', async () => {
    vi.stubEnv('LEDGER_USAGE_ASYNC_FLUSH_MS', '25');
    const module = await Test.createTestingModule({
      imports: [
        ConfigModule.forRoot({ ignoreEnvFile: true }),
        LedgerModule.forRootAsync(usageConfig.asProvider()),
      ],
    }).compile();
    const ledger = module.get<LedgerService<typeof usage>>(getLedgerToken(usage));
    expect(ledger.stats().settings).toMatchObject({
      flushMs: { value: 25, source: 'environment' },
      batchSize: { value: 50, source: 'code' },
    });
    await module.close();
  });

  it('may name the same definition twice, in any order', async () => {
    const provider = usageConfig.asProvider();
    await boot(LedgerModule.forRootAsync({ ledger: usage, ...provider }));
    await boot(LedgerModule.forRootAsync({ ...provider, ledger: usage, isGlobal: true }));
    // Another copy of the package makes another object of it.
    await boot(LedgerModule.forRootAsync({ ...provider, ledger: defineLedger({ ...plain }) }));
  });

  it('are one ledger by its name where the configuration is made of no definition', async () => {
    const config = createLedgerConfig({ defaults: usageConfig() });
    const own = defineLedger({ table: 'calls' });
    await boot(LedgerModule.forRootAsync({ ledger: own, ...config.asProvider() }));
  });

  it.each([
    ['before', { ledger: audit, ...usageConfig.asProvider() }],
    ['behind', { ...usageConfig.asProvider(), ledger: audit }],
    ['by useFactory', { ledger: audit, useFactory: () => usageConfig() }],
  ])('fail the boot if they are two, and the error names both: %s', async (_, options) => {
    await expect(boot(LedgerModule.forRootAsync(options))).rejects.toThrow(
      'ledger = audit (code): is not the ledger of the configuration, which is usage',
    );
  });

  it('fail the boot if the definition is lost on the way', async () => {
    const { imports, inject, useFactory } = usageConfig.asProvider();
    await expect(boot(LedgerModule.forRootAsync({ imports, inject, useFactory }))).rejects.toThrow(
      'ledger = default (code): is not the ledger of the configuration, which is usage',
    );
  });

  it("fail the boot if a named ledger has the default one's configuration", async () => {
    const options = { ledger: usage, ...ledgerConfig.asProvider() };
    await expect(boot(LedgerModule.forRootAsync(options))).rejects.toThrow(
      'ledger = usage (code): is not the ledger of the configuration, which is default',
    );
  });

  it('fail the boot if two definitions of one name differ', async () => {
    const other = defineLedger({ ...plain, columns: { model: 'text' } });
    const options = { ledger: other, ...usageConfig.asProvider() };
    await expect(boot(LedgerModule.forRootAsync(options))).rejects.toThrow(
      'ledger = usage (code): has two definitions that differ',
    );
  });

  it('fail the boot if ConfigModule loads the configuration of a ledger that is not there', async () => {
    const load = ConfigModule.forRoot({ ignoreEnvFile: true, load: [usageConfig] });
    const connection = { url: 'postgres://127.0.0.1:1/nobody' };
    const ledger = LedgerModule.forRoot({ ledger: audit, connection });
    await expect(boot(await load, ledger)).rejects.toThrow(
      'ledger = usage (code): has a configuration, but no module imports it',
    );
    await boot(await load, LedgerModule.forRootAsync(usageConfig.asProvider()));
    await boot(await load, ledger, LedgerTestingModule.forRoot({ ledgers: [usage] }));
  });
});

describe('two ledgers on one table', () => {
  const URL = 'postgres://app:secret@127.0.0.1:1/app';
  const trail = defineLedger({ name: 'trail' });
  const of = (ledger: LedgerDefinition, connection: object): DynamicModule =>
    LedgerModule.forRoot({ ledger, connection });

  it.each([
    ['one address', { url: URL }, { url: URL }],
    ['of two roles', { url: URL }, { url: 'postgres://me@127.0.0.1:1/app' }],
    ['spelled twice', { url: URL }, { host: '127.0.0.1', port: 1, database: 'app' }],
    ['with a replica', { replication: { master: { url: URL }, slaves: [] } }, { url: URL }],
  ])('fail the boot, and the error names both: %s', async (_, one, other) => {
    const starting = boot(of(usage, one), of(trail, other));
    await expect(starting).rejects.toThrow(
      /ledger = (usage|trail) .* has the table usage_entries, which ledger (trail|usage) has too/,
    );
    await expect(starting).rejects.not.toThrow('secret');
  });

  it('may share it if both say so', async () => {
    const shared = [usage, trail].map(({ name }) => defineLedger({ name, shared: true }));
    await boot(...shared.map((ledger) => of(ledger, { url: URL })));
    await expect(boot(of(shared[0]!, { url: URL }), of(trail, { url: URL }))).rejects.toThrow(
      'or `shared: true` to both',
    );
  });

  it.each([
    ['another database', { url: `${URL}2` }],
    ['another server', { url: URL.replace(':1/', ':2/') }],
    ['another schema', { url: URL, schema: 'metering' }],
    ['another search path', { url: `${URL}?options=-csearch_path%3Dmetering` }],
    ['another search path in code', { url: URL, extra: { options: '-csearch_path=metering' } }],
  ])('are two tables if they lie elsewhere: %s', async (_, elsewhere) => {
    await boot(of(usage, { url: URL }), of(trail, elsewhere));
  });

  it('are two tables if their definitions name another schema or table', async () => {
    for (const options of [{ schema: 'metering' }, { table: 'calls' }]) {
      const other = defineLedger({ name: 'trail', ...options });
      await boot(of(usage, { url: URL }), of(other, { url: URL }));
    }
  });
});

const plain = { name: 'usage', ids: 'text' } as const;

it('has the default ledger where none is given', () => {
  const module = LedgerModule.forRootAsync(ledgerConfig.asProvider());
  expect(module.exports).toContain(getLedgerToken(defaultLedger));
});
