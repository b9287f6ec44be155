import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerOptionsError } from '../errors/ledger-options.error.js';
import { describeSettings } from './describe-settings.js';
import type { LedgerOptions } from './ledger-options.interface.js';
import { SETTING_OPTIONS } from './ledger-settings.js';
import { readLedgerConfig } from './read-ledger-config.js';
import { resolveLedgerOptions } from './resolve-ledger-options.js';
import { unwiseConnections } from './unwise-settings.js';

function errorOf(options: unknown): LedgerOptionsError {
  try {
    resolveLedgerOptions(options as LedgerOptions);
  } catch (error) {
    if (isLedgerError(error, 'LEDGER_OPTIONS')) return error;
    throw error;
  }
  throw new Error('no fault was found');
}

function told(options: unknown): string[] {
  return errorOf(options).faults.map((f) => `${f.name} = ${f.value} (${f.source}): ${f.rule}`);
}

describe('faults', () => {
  it('are reported all at once in the order of the table, with name, value, rule and source', () => {
    const config = readLedgerConfig(
      'default',
      { defaults: { flushMs: 0, maxWaiting: 2.5 } },
      {
        LEDGER_ASYNC_SPILL_DIR: '',
        LEDGER_ASYNC_BATCH_SIZE: '12abc',
        LEDGER_ASYNC_FLUSH_MS: '9999999',
        LEDGER_ASYNC_PROFIL: 'high',
      },
    );
    const error = errorOf({ ...config, overflow: 'spill', onLoss: 'log' });
    expect(error.message).toBe(
      [
        'ledger options: 8 faults',
        '  - LEDGER_ASYNC_BATCH_SIZE = 12abc (environment): ' +
          'must be a whole number from 1 to 100,000, or auto',
        '  - LEDGER_ASYNC_FLUSH_MS = 9999999 (environment): ' +
          'must be a whole number from 1 to 3,600,000, or auto',
        '  - flushMs = 0 (code): must be a whole number from 1 to 3,600,000, or auto',
        '  - overflow = "spill" (code): must be one of drop, block, disk',
        '  - maxWaiting = 2.5 (code): must be a whole number from 0 to 1,000,000',
        '  - LEDGER_ASYNC_SPILL_DIR = "" (environment): must be the path of a directory',
        '  - onLoss = "log" (code): must be a function',
        '  - LEDGER_ASYNC_PROFIL = (not shown) (environment): ' +
          'is not a setting; did you mean LEDGER_ASYNC_PROFILE?',
      ].join('\n'),
    );
  });

  it.each([
    ['batchSize', '100', '"100"'],
    ['batchSize', null, 'null'],
    ['batchSize', 5n, '5n'],
    ['batchSize', Number.NaN, 'NaN'],
    ['flushMs', Infinity, 'Infinity'],
    ['healthDownAt', '0.9', '"0.9"'],
    ['strategy', ['copy'], 'an array'],
    ['spillDir', { path: 'secret' }, 'an object'],
    ['deadLetters', { save: () => undefined }, 'an object'],
    ['profile', 'toString', '"toString"'],
    ['migrations', true, 'true'],
    ['connectAtBoot', 'yes', '"yes"'],
    ['closeIdleConnections', 1, '1'],
    ['onInvalid', 'ignore', '"ignore"'],
    ['onState', {}, 'an object'],
    ['connection', 'postgres://app:secret@db', '"postgres://***@db"'],
    ['connection', { type: 'mysql', password: 'secret' }, 'an object'],
    ['dataSource', { options: { type: 'mysql' }, createQueryRunner: () => 1 }, 'an object'],
  ])('tell a wrong kind in code: %s = %o', (option, value, shown) => {
    expect(errorOf({ [option]: value }).faults).toEqual([
      { name: option, value: shown, rule: expect.stringMatching(/^must be /), source: 'code' },
    ]);
  });

  it('cut values at 80 characters and keep them on one line', () => {
    const [fault] = errorOf({ strategy: `copy\n${'x'.repeat(200)}` }).faults;
    expect(fault?.value).toHaveLength(80);
    expect(fault?.value).toMatch(/^"copy\\nx+…$/);
    const config = readLedgerConfig(
      'default',
      {},
      { LEDGER_ASYNC_STRATEGY: 'copy\n[boot] all is well' },
    );
    expect(errorOf(config).faults[0]?.value).toBe('"copy\\n[boot] all is well"');
  });

  it.each([
    [
      { batchSize: 11, bufferSize: 10 },
      'batchSize = 11 (code): must be at most bufferSize, which is 10 (code)',
    ],
    [
      { bufferSize: 99 },
      'bufferSize = 99 (code): must be at least batchSize, which is 100 (default)',
    ],
    [
      { retryMinMs: 5001 },
      'retryMinMs = 5001 (code): must be at most retryMaxMs, which is 5,000 (default)',
    ],
    [
      { retryMaxMs: 99 },
      'retryMaxMs = 99 (code): must be at least retryMinMs, which is 100 (default)',
    ],
    [
      { healthRecoverAt: 0.8 },
      'healthRecoverAt = 0.8 (code): must be below healthDegradedAt, which is 0.8 (default)',
    ],
    [
      { healthDegradedAt: 0.6 },
      'healthDegradedAt = 0.6 (code): must be above healthRecoverAt, which is 0.6 (default)',
    ],
    [
      { healthDownAt: 0.8 },
      'healthDownAt = 0.8 (code): must be above healthDegradedAt, which is 0.8 (default)',
    ],
  ])('tell settings that contradict each other: %o', (options, sentence) => {
    expect(told(options)).toEqual([sentence]);
  });

  it('allow settings that are just in order', () => {
    const options = { batchSize: 10, bufferSize: 10, retryMinMs: 7, retryMaxMs: 7 };
    expect(resolveLedgerOptions(options)).toMatchObject(options);
  });

  it('tell a contradiction by the names of the sources, profiles included', () => {
    const environment = { LEDGER_ASYNC_PROFILE: 'high', LEDGER_ASYNC_BUFFER_SIZE: '300' };
    expect(told(readLedgerConfig('default', {}, environment))).toEqual([
      'LEDGER_ASYNC_PROFILE = high (environment): sets batchSize 500; it must be at most ' +
        'bufferSize (LEDGER_ASYNC_BUFFER_SIZE), which is 300 (environment)',
    ]);
  });

  it('name the nearest option for one that does not exist', () => {
    expect(told({ batchsize: 5 })).toEqual([
      'batchsize = (not shown) (code): is not an option; did you mean batchSize?',
    ]);
  });

  it.each([
    ['mysql://app:secret@db/app', 'must be a URL that begins with postgres:// or postgresql://'],
    [
      'postgres://app:sec%ret@[::1/app',
      'must be a URL, with special characters of user and password percent-encoded',
    ],
  ])('refuse the address %s, which no boot would tell', (url, rule) => {
    expect(told({ connection: { url } })).toEqual([`connection.url = (not shown) (code): ${rule}`]);
  });

  it('refuse a connection together with a DataSource', () => {
    const dataSource = new DataSource({ type: 'postgres' });
    expect(resolveLedgerOptions({ dataSource }).dataSource).toBe(dataSource);
    expect(told({ dataSource, connection: { host: 'db' } })).toEqual([
      'connection = (not shown) (code): is given together with dataSource; give one of them',
    ]);
  });

  it.each([[undefined], [null], ['high'], [[]]])('refuse %j instead of options', (options) => {
    expect(errorOf(options).faults).toMatchObject([{ name: 'options', rule: 'must be an object' }]);
  });
});

describe('options of a configuration that code changes', () => {
  const ENVIRONMENT = { LEDGER_ASYNC_PROFILE: 'ultra', LEDGER_ASYNC_FLUSH_MS: '50' };
  const config = readLedgerConfig(
    'default',
    { defaults: { bufferMaxBytes: 2 ** 21 } },
    ENVIRONMENT,
  );

  it('keep the sources of what is the same, and have source code for what differs', () => {
    const { settings } = resolveLedgerOptions({ ...config, batchSize: 5, flushMs: 50 });
    expect(settings).toMatchObject({
      batchSize: { value: 5, source: 'code' },
      flushMs: { value: 50, source: 'environment' },
      numWorkers: { value: 50, source: 'environment', profile: 'ultra' },
    });
  });

  it('go by another profile as if its figures were written there', () => {
    const { settings } = resolveLedgerOptions({ ...config, profile: 'low' });
    expect(settings).toMatchObject({
      profile: { value: 'low', source: 'code' },
      batchSize: { value: 50, source: 'code', profile: 'low' },
      flushMs: { value: 2000, source: 'code', profile: 'low' },
      bufferMaxBytes: { value: 2 ** 21, source: 'code' },
    });
  });

  it('fall back to the default for what code takes away', () => {
    const { settings } = resolveLedgerOptions({
      ...config,
      flushMs: undefined,
      profile: undefined,
    });
    expect(settings['flushMs']).toEqual({ value: 1000, source: 'default' });
    expect(settings['batchSize']).toEqual({ value: 100, source: 'default' });
    expect(settings).not.toHaveProperty('profile');
  });

  it('refuse a wrong environment value even if code replaces it or drops the record', () => {
    const wrong = readLedgerConfig('default', {}, { LEDGER_ASYNC_BATCH_SIZE: '12abc' });
    for (const batchSize of [5, undefined]) {
      expect(errorOf({ ...wrong, batchSize }).faults).toMatchObject([
        { name: 'LEDGER_ASYNC_BATCH_SIZE', value: '12abc', source: 'environment' },
      ]);
    }
    expect(errorOf({ batchSize: wrong.batchSize }).faults).toMatchObject([
      { name: 'batchSize', value: '"12abc"', source: 'code' },
    ]);
  });
});

describe('resolved options', () => {
  it('have the built-in value for what only code gives', () => {
    expect(resolveLedgerOptions({})).toMatchObject({
      closeIdleConnections: true,
      onInvalid: 'count',
      migrations: undefined,
      connectAtBoot: undefined,
    });
  });

  it("are frozen, and do not change the caller's object", () => {
    const ssl = { key: 'pem' };
    const connection = { host: 'db', ssl };
    const options = resolveLedgerOptions({ connection });
    for (const part of [options, options.settings, options.warnings, options.connection]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
    expect(Object.values(options.settings).every(Object.isFrozen)).toBe(true);
    expect(Object.isFrozen(connection)).toBe(false);
    expect(Object.isFrozen(options.connection?.ssl)).toBe(false);
  });

  it('take a store of dead letters from code and show it as custom', () => {
    class Store {
      async store(): Promise<void> {}
    }
    const store = new Store();
    const options = resolveLedgerOptions({ deadLetters: store });
    expect(options.deadLetters).toBe(store);
    expect(options.settings['deadLetters']).toEqual({ value: 'custom', source: 'code' });
  });

  it('are described on one line with the source of each', () => {
    const environment = {
      LEDGER_ASYNC_BATCH_SIZE: '400',
      LEDGER_ASYNC_PROFILE: 'high',
      LEDGER_ASYNC_JOURNAL_DIR: '/var/journal',
    };
    const { settings } = resolveLedgerOptions(readLedgerConfig('default', {}, environment));
    const line = describeSettings(settings);
    expect(line.split('), ')).toHaveLength(SETTING_OPTIONS.length);
    expect(line).toContain(
      'profile high (environment), batchSize 400 (environment), ' +
        'flushMs 500 (profile high, environment), ',
    );
    expect(line).toContain(', strategy copy (default), overflow disk (default), ');
  });
});

describe('unwise settings', () => {
  it('warn of more workers than cores', () => {
    expect(resolveLedgerOptions({ numWorkers: 4 }, 4).warnings).toEqual([]);
    expect(resolveLedgerOptions({ numWorkers: 5 }, 4).warnings).toEqual([
      'numWorkers 5 is above the 4 cores of this machine; ' +
        'min(cores, max_connections / 10) is enough.',
    ]);
  });

  it('warn of a buffer that does not hold a batch for each worker', () => {
    const settings = { batchSize: 50, numWorkers: 2 };
    expect(resolveLedgerOptions({ ...settings, bufferSize: 100 }, 2).warnings).toEqual([]);
    expect(resolveLedgerOptions({ ...settings, bufferSize: 99 }, 2).warnings).toEqual([
      'bufferSize 99 is below batchSize x numWorkers (100): not all workers can have a full batch.',
    ]);
  });

  it("warn of workers and connections against the server's max_connections", () => {
    expect(unwiseConnections(10, 97, 100)).toEqual([]);
    expect(unwiseConnections(11, 12, 100)).toEqual([
      "numWorkers 11 is above a tenth of the server's max_connections (100).",
    ]);
    expect(unwiseConnections(1, 98, 100)).toEqual([
      'This process may open 98 connections, and the server takes 97 ' +
        '(max_connections 100, 3 reserved).',
    ]);
  });
});
