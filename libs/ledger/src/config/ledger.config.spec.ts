import { Inject, Injectable, Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import type { ConfigType } from '@nestjs/config';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { InMemorySink } from '../testing/in-memory.sink.js';
import { createLedgerConfig, ledgerConfig } from './ledger.config.js';
import { LEDGER_SETTINGS, SETTING_OPTIONS } from './ledger-settings.js';
import { resolveLedgerOptions } from './resolve-ledger-options.js';

const audit = defineLedger({ name: 'audit', table: 'audit_entries' });
const auditConfig = createLedgerConfig(audit, { defaults: { flushMs: 77 } });

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
        useFactory: (config: ConfigType<typeof ledgerConfig>) =>
          resolveLedgerOptions(provider.useFactory(config)),
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
    const { config, audit: auditValues } = module.get(Reader);
    const service = module.get(ConfigService);
    expect(service.get('ledger')).toBe(config);
    expect(service.get('ledger.batchSize')).toBe(321);
    expect(auditValues).toMatchObject({ batchSize: 123, flushMs: 77 });
    expect(service.get('ledger:audit.flushMs')).toBe(77);
    await module.close();
  });

  it("holds the values in force: a profile's figures, texts as numbers, and every default", () => {
    vi.stubEnv('LEDGER_ASYNC_PROFILE', 'ultra');
    vi.stubEnv('LEDGER_ASYNC_FLUSH_MS', ' 1_500 ');
    const defaults = Object.fromEntries(
      SETTING_OPTIONS.map((option) => [option, LEDGER_SETTINGS[option].default]),
    );
    const given = { spillDir: '/spill', journalDir: '/journal' };
    expect({ ...createLedgerConfig({ defaults: given })() }).toMatchObject({
      ...defaults,
      ...given,
      overflow: 'disk',
      ...{ profile: 'ultra', batchSize: 10_000, bufferSize: 1_000_000, numWorkers: 50 },
      ...{ bufferMaxBytes: 2 ** 30, flushMs: 1500 },
    });
    const named = SETTING_OPTIONS.filter((option) => option !== 'journalDir');
    expect(Object.keys(ledgerConfig()).sort()).toEqual(named.sort());
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
      settings: {
        batchSize: { value: 500, source: 'environment', profile: 'high' },
        maxWaiting: { value: 10_000, source: 'default' },
        maxWaitingReads: { value: 100, source: 'default' },
      },
    });
    await module.close();
  });

  it.each([
    ['ConfigModule alone', { load: [ledgerConfig] }, []],
    ['asProvider() alone', {}, [ledgerFrom(ledgerConfig.asProvider())]],
    ['both', { load: [ledgerConfig] }, [ledgerFrom(ledgerConfig.asProvider())]],
  ])('fails the boot with every fault in one error: %s', async (_, options, imports) => {
    vi.stubEnv('LEDGER_ASYNC_BATCH_SIZE', '0');
    vi.stubEnv('LEDGER_ASYNC_FLUSH_MS', 'soon');
    vi.stubEnv('LEDGER_ASYNC_PROFIL', 'low');
    const boot = Test.createTestingModule({
      imports: [ConfigModule.forRoot({ ignoreEnvFile: true, ...options }), ...imports],
    }).compile();
    const error: unknown = await boot.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(isLedgerError(error, 'LEDGER_OPTIONS') && error.faults.map(({ name }) => name)).toEqual([
      'LEDGER_ASYNC_BATCH_SIZE',
      'LEDGER_ASYNC_FLUSH_MS',
      'LEDGER_ASYNC_PROFIL',
    ]);
  });

  it('knows the sources of values that a factory takes over, and of those that it changes', () => {
    vi.stubEnv('LEDGER_ASYNC_BATCH_SIZE', '321');
    const values = createLedgerConfig({ defaults: { numWorkers: 2 } })();
    const { settings } = resolveLedgerOptions({ ...values, flushMs: 5 });
    expect(settings).toMatchObject({
      batchSize: { value: 321, source: 'environment' },
      numWorkers: { value: 2, source: 'code' },
      flushMs: { value: 5, source: 'code' },
      maxWaiting: { value: 10_000, source: 'default' },
      maxWaitingReads: { value: 100, source: 'default' },
    });
  });

  it('leaves a default to what else a factory gives: dead letters of a sink go to a file', () => {
    const sink = new InMemorySink();
    expect(resolveLedgerOptions({ ...ledgerConfig(), sink }).settings['deadLetters']).toEqual({
      value: 'file',
      source: 'default',
    });
    expect(createLedgerConfig({ defaults: { sink } })().deadLetters).toBe('file');
  });

  it('has a separate token for each ledger', () => {
    expect(ledgerConfig.KEY).toBe('CONFIGURATION(ledger)');
    expect(createLedgerConfig(defineLedger({ ids: 'text' })).KEY).toBe('CONFIGURATION(ledger)');
    expect(auditConfig.KEY).toBe('CONFIGURATION(ledger:audit)');
  });

  it('refuses options that it has not, such as the name of a ledger', () => {
    const options = { name: 'audit', strict: true };
    expect(() => createLedgerConfig(options)()).toThrow(
      /^ledger options: 1 fault\n {2}- name = .* is not an option of createLedgerConfig\(definition,/,
    );
  });
});
