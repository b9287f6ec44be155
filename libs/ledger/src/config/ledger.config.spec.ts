import { Inject, Injectable, Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import type { ConfigType } from '@nestjs/config';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isLedgerOptionsError } from '../errors/ledger-options.error.js';
import type { LedgerOptions } from './ledger-options.interface.js';
import { createLedgerConfig, ledgerConfig } from './ledger.config.js';
import { resolveLedgerOptions } from './resolve-ledger-options.js';

const auditConfig = createLedgerConfig({ name: 'audit', defaults: { flushMs: 77 } });

@Injectable()
class Reader {
  constructor(
    @Inject(ledgerConfig.KEY) readonly config: ConfigType<typeof ledgerConfig>,
    @Inject(auditConfig.KEY) readonly audit: ConfigType<typeof auditConfig>,
  ) {}
}

/** Takes options as `forRootAsync` does: imports, inject and useFactory of `asProvider()`. */
function ledgerFrom(provider: ReturnType<typeof ledgerConfig.asProvider>) {
  @Module({
    imports: provider.imports,
    providers: [
      {
        provide: 'RESOLVED',
        inject: provider.inject,
        useFactory: (config: LedgerOptions) => resolveLedgerOptions(provider.useFactory(config)),
      },
    ],
    exports: ['RESOLVED'],
  })
  class LedgerTaker {}
  return LedgerTaker;
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('ledgerConfig in an application', () => {
  it('is injected by its key, and by the names of ConfigService', async () => {
    vi.stubEnv('LEDGER_ASYNC_BATCH_SIZE', '321');
    vi.stubEnv('LEDGER_AUDIT_ASYNC_BATCH_SIZE', '123');
    const module = await Test.createTestingModule({
      imports: [ConfigModule.forRoot({ ignoreEnvFile: true, load: [ledgerConfig, auditConfig] })],
      providers: [Reader],
    }).compile();
    const { config, audit } = module.get(Reader);
    expect(Object.entries(config)).toEqual([['batchSize', 321]]);
    expect(audit).toMatchObject({ batchSize: 123, flushMs: 77 });
    const service = module.get(ConfigService);
    expect(service.get('ledger.batchSize')).toBe(321);
    expect(service.get('ledger:audit.flushMs')).toBe(77);
    await module.close();
  });

  it('gives a module its options through asProvider(), read at boot', async () => {
    const imports = [
      ConfigModule.forRoot({ ignoreEnvFile: true }),
      ledgerFrom(ledgerConfig.asProvider()),
    ];
    vi.stubEnv('LEDGER_ASYNC_PROFILE', 'high');
    const module = await Test.createTestingModule({ imports }).compile();
    expect(module.get('RESOLVED', { strict: false })).toMatchObject({
      batchSize: 500,
      settings: { batchSize: { value: 500, source: 'environment', profile: 'high' } },
    });
    await module.close();
  });

  it('fails the boot with every fault in one error', async () => {
    vi.stubEnv('LEDGER_ASYNC_BATCH_SIZE', '0');
    vi.stubEnv('LEDGER_ASYNC_FLUSH_MS', 'soon');
    const boot = Test.createTestingModule({
      imports: [
        ConfigModule.forRoot({ ignoreEnvFile: true }),
        ledgerFrom(ledgerConfig.asProvider()),
      ],
    }).compile();
    const error: unknown = await boot.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(isLedgerOptionsError(error) && error.faults.map(({ name }) => name)).toEqual([
      'LEDGER_ASYNC_BATCH_SIZE',
      'LEDGER_ASYNC_FLUSH_MS',
    ]);
  });

  it('has a token of its own for each ledger', () => {
    expect(ledgerConfig.KEY).toBe('CONFIGURATION(ledger)');
    expect(createLedgerConfig({ name: 'default' }).KEY).toBe('CONFIGURATION(ledger)');
    expect(auditConfig.KEY).toBe('CONFIGURATION(ledger:audit)');
  });
});
