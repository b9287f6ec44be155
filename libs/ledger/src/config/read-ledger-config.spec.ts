import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { OptionsFault } from '../errors/ledger-options.error.js';
import type { LedgerOptions, ResolvedLedgerOptions } from './ledger-options.interface.js';
import { readLedgerConfig } from './read-ledger-config.js';
import type { LedgerConfigOptions } from './read-ledger-config.js';
import { resolveLedgerOptions } from './resolve-ledger-options.js';

type Environment = Record<string, string>;
let folder: string;
let files = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ledger-config-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function iniFile(text: string): string {
  const path = join(folder, `${++files}.ini`);
  writeFileSync(path, text);
  return path;
}

interface Given extends LedgerConfigOptions {
  /** Of the ledger. */
  readonly name?: string;
}

function resolved(environment: Environment, given: Given = {}): ResolvedLedgerOptions {
  const { name = 'default', ...config } = given;
  return resolveLedgerOptions(readLedgerConfig(name, config, environment), 256);
}

function faultsOf(environment: Environment, config: Given = {}): readonly OptionsFault[] {
  try {
    resolved(environment, config);
  } catch (error) {
    if (isLedgerError(error, 'LEDGER_OPTIONS')) return error.faults;
    throw error;
  }
  return [];
}

describe('precedence', () => {
  const FILE = 'ledger_async_flush_ms=300\n';
  const CODE: LedgerOptions = { flushMs: 400 };
  const ENVIRONMENT = { LEDGER_ASYNC_FLUSH_MS: '200' };

  it.each([
    [ENVIRONMENT, FILE, CODE, { value: 200, source: 'environment' }],
    [ENVIRONMENT, FILE, {}, { value: 200, source: 'environment' }],
    [ENVIRONMENT, '', CODE, { value: 200, source: 'environment' }],
    [{}, FILE, CODE, { value: 300, source: 'file' }],
    [{}, FILE, {}, { value: 300, source: 'file' }],
    [{}, '', CODE, { value: 400, source: 'code' }],
    [{}, '', {}, { value: 1000, source: 'default' }],
  ] as const)('of %j, file %j and code %j is %j', (environment, file, code, inForce) => {
    const options = resolved({ ...environment }, { iniFile: iniFile(file), defaults: code });
    expect(options.flushMs).toBe(inForce.value);
    expect(options.settings['flushMs']).toEqual(inForce);
  });

  it("counts a profile's figures where it is named, below values by name", () => {
    const options = resolved(
      { LEDGER_ASYNC_BATCH_SIZE: '7' },
      {
        iniFile: iniFile('ledger_async_profile=high\nledger_async_flush_ms=60\n'),
        defaults: { profile: 'ultra', numWorkers: 9, maxWaiting: 3 },
      },
    );
    expect(options.settings).toMatchObject({
      profile: { value: 'high', source: 'file' },
      batchSize: { value: 7, source: 'environment' },
      flushMs: { value: 60, source: 'file' },
      bufferSize: { value: 50_000, source: 'file', profile: 'high' },
      numWorkers: { value: 5, source: 'file', profile: 'high' },
      maxWaiting: { value: 3, source: 'code' },
    });
    expect(options.settings['flushMs']).not.toHaveProperty('profile');
  });

  it('puts a profile of the environment before values by name of lower sources', () => {
    const iniPath = iniFile('ledger_async_batch_size=7');
    const options = resolved({ LEDGER_ASYNC_PROFILE: 'low' }, { iniFile: iniPath });
    expect(options.batchSize).toBe(50);
  });

  it('has one profile in force: nothing is left of one that another source beats', () => {
    const options = resolved({ LEDGER_ASYNC_PROFILE: 'high' }, { defaults: { profile: 'ultra' } });
    expect(options.settings['bufferMaxBytes']).toEqual({ value: 2 ** 28, source: 'default' });
  });

  it('takes LEDGER_CONFIG_FILE before the path in code', () => {
    const environment = { LEDGER_CONFIG_FILE: iniFile('ledger_async_flush_ms=1') };
    expect(resolved(environment, { iniFile: iniFile(FILE) }).flushMs).toBe(1);
    expect(resolved(environment, { iniFile: '/not/there.ini' }).flushMs).toBe(1);
  });
});

describe('names', () => {
  it("reads the guide's names as well", () => {
    const environment = { TOKLIGENCE_LEDGER_ASYNC_BATCH_SIZE: '5000' };
    expect(resolved(environment).settings['batchSize']).toEqual({
      value: 5000,
      source: 'environment',
    });
    expect(faultsOf({ TOKLIGENCE_LEDGER_ASYNC_NUM_WORKERS: 'x' })[0]?.name).toBe(
      'TOKLIGENCE_LEDGER_ASYNC_NUM_WORKERS',
    );
  });

  it('refuses two names of one setting that disagree, and names both', () => {
    const agree = { TOKLIGENCE_LEDGER_ASYNC_BATCH_SIZE: ' 5_00', LEDGER_ASYNC_BATCH_SIZE: '500' };
    expect(resolved(agree).batchSize).toBe(500);
    expect(faultsOf({ ...agree, TOKLIGENCE_LEDGER_ASYNC_BATCH_SIZE: '600' })).toEqual([
      {
        name: 'LEDGER_ASYNC_BATCH_SIZE',
        value: '500',
        rule: 'differs from TOKLIGENCE_LEDGER_ASYNC_BATCH_SIZE = 600; give one of them',
        source: 'environment',
      },
    ]);
  });

  it("reads a named ledger's own names only", () => {
    const environment = {
      LEDGER_ASYNC_FLUSH_MS: '1',
      LEDGER_USAGE_EU_1_ASYNC_FLUSH_MS: '2',
      TOKLIGENCE_LEDGER_USAGE_EU_1_ASYNC_BATCH_SIZE: '3',
      LEDGER_AUDIT_ASYNC_FLUSH_MS: '4',
    };
    const path = iniFile('ledger_async_max_waiting=5\nledger_usage_eu_1_async_retry_min_ms=6');
    const usage = resolved(environment, { name: 'usage-eu.1', iniFile: path });
    expect(usage).toMatchObject({ flushMs: 2, batchSize: 3, maxWaiting: 10_000, retryMinMs: 6 });
    expect(usage.warnings).toEqual([]);
    expect(resolved(environment, { name: 'default' })).toMatchObject({ flushMs: 1 });
    expect(resolved(environment)).toMatchObject({ flushMs: 1, batchSize: 100 });
  });
});

describe('unknown names', () => {
  const UNKNOWN = { LEDGER_ASYNC_BATCHSIZE: 'postgres://u:hush@h/d' };
  const RULE = 'is not a setting; did you mean LEDGER_ASYNC_BATCH_SIZE?';

  it('log a warning that suggests the closest match, so that a rollback boots', () => {
    expect(resolved(UNKNOWN).warnings).toEqual([`LEDGER_ASYNC_BATCHSIZE (environment) ${RULE}`]);
  });

  it('are part of the error if there is one, and a fault if strict', () => {
    const fault = {
      name: 'LEDGER_ASYNC_BATCHSIZE',
      value: '(not shown)',
      rule: RULE,
      source: 'environment',
    };
    expect(faultsOf(UNKNOWN, { strict: true })).toEqual([fault]);
    const faults = faultsOf({ ...UNKNOWN, LEDGER_ASYNC_FLUSH_MS: 'x' });
    expect(faults.map(({ name }) => name)).toEqual([
      'LEDGER_ASYNC_FLUSH_MS',
      'LEDGER_ASYNC_BATCHSIZE',
    ]);
  });

  it('leave known settings of other ledgers alone, and tell the rest in their spelling', () => {
    const others = {
      LEDGER_AUDIT_ASYNC_BATCH_SIZE: '1',
      LEDGER_ASYNC_PROFILE: 'low',
      LEDGER_ASYNC_ASYNC_FLUSH_MS: '1',
      LEDGER_FORMAT: 'x',
      MY_LEDGER_ASYNC_THING: 'x',
      PATH: '/bin',
    };
    expect(resolved(others).warnings).toEqual([]);
    expect(resolved(others, { name: 'usage' }).warnings).toEqual([]);
    expect(resolved({ LEDGER_AUDIT_ASYNC_FLUSHMS: '1' }).warnings).toEqual([
      'LEDGER_AUDIT_ASYNC_FLUSHMS (environment) is not a setting; ' +
        'did you mean LEDGER_AUDIT_ASYNC_FLUSH_MS?',
    ]);
  });

  it('include environment names in lower case and unknown keys of the file', () => {
    const path = iniFile('ledger_async_worker=2\nledger_format=x');
    expect(resolved({ ledger_async_flush_ms: '1' }, { iniFile: path }).warnings).toEqual([
      'ledger_async_flush_ms (environment) is not a setting; did you mean LEDGER_ASYNC_FLUSH_MS?',
      'ledger_async_worker (file) is not a setting; did you mean ledger_async_num_workers?',
    ]);
  });
});

describe('the INI file', () => {
  it("takes the guide's keys at top level and in any section", () => {
    const path = iniFile(
      '\uFEFF; a comment\nledger_async_batch_size=500 ; rows\n[http]\nport=1\n' +
        '[ledger.async]\r\nledger_async_flush_ms = 250\r\nLEDGER_ASYNC_SPILL_DIR="/var/a b"\n',
    );
    expect(resolved({}, { iniFile: path })).toMatchObject({
      batchSize: 500,
      flushMs: 250,
      spillDir: '/var/a b',
    });
  });

  it('refuses a key that is given twice with different values, and names both places', () => {
    const path = iniFile('ledger_async_flush_ms=1\n[a]\nledger_async_flush_ms=2');
    expect(faultsOf({}, { iniFile: path })).toEqual([
      {
        name: 'ledger_async_flush_ms',
        value: '1',
        rule: 'differs from [a] ledger_async_flush_ms = 2; give one of them',
        source: 'file',
      },
    ]);
    expect(faultsOf({}, { iniFile: iniFile('ledger_async_flush_ms=1\n'.repeat(2)) })).toEqual([]);
    const twice = iniFile('ledger_async_flush_ms=1\nledger_async_flush_ms=2');
    expect(faultsOf({}, { iniFile: twice })).toHaveLength(1);
  });

  it('names wrong values by their keys', () => {
    const path = iniFile('ledger_async_flush_ms=\nledger_async_batch_size\n');
    expect(faultsOf({}, { iniFile: path }).map(({ name, value }) => [name, value])).toEqual([
      ['ledger_async_batch_size', 'true'],
      ['ledger_async_flush_ms', '""'],
    ]);
  });

  it.each([
    ['a file that is not there', '/not/there.ini', 'ENOENT'],
    ['a folder', '.', 'EISDIR'],
    ['an empty path', '', 'ENOENT'],
  ])('is a fault if it names %s', (_what, path, code) => {
    const rule = `must be an INI file that can be read (${code})`;
    const value = path || '""';
    expect(faultsOf({}, { iniFile: path })).toEqual([
      { name: 'iniFile', value, rule, source: 'code' },
    ]);
    expect(faultsOf({ LEDGER_CONFIG_FILE: path })).toEqual([
      { name: 'LEDGER_CONFIG_FILE', value, rule, source: 'environment' },
    ]);
  });
});

describe('the database', () => {
  const URL = 'postgres://app:hush@db/meter';

  it('comes from LEDGER_DATABASE_URL, over what code says of the connection', () => {
    const defaults = { connection: { url: 'postgres://x', ssl: true } };
    const options = resolved({ LEDGER_DATABASE_URL: URL }, { defaults });
    expect(options.connection).toEqual({ url: URL, ssl: true });
    expect(resolved({}).connection).toBeUndefined();
    expect(resolved({}, { defaults }).connection).toEqual(defaults.connection);
  });

  it('is never that of DATABASE_URL while the application may have a DataSource', () => {
    expect(resolved({ DATABASE_URL: URL }).connection).toBeUndefined();
    const both = { DATABASE_URL: 'mysql://x', LEDGER_DATABASE_URL: URL };
    expect(resolved(both).connection?.url).toBe(URL);
  });

  it("of a named ledger is its own, else the default ledger's", () => {
    const both = { LEDGER_DATABASE_URL: URL, LEDGER_AUDIT_DATABASE_URL: 'postgresql://b' };
    expect(resolved(both, { name: 'audit' }).connection?.url).toBe('postgresql://b');
    expect(resolved(both, { name: 'usage' }).connection?.url).toBe(URL);
    expect(resolved(both).connection?.url).toBe(URL);
  });

  it.each(['', 'mysql://app:hush@db/meter', 'hush'])('refuses %j without showing it', (url) => {
    expect(faultsOf({ LEDGER_DATABASE_URL: url })).toEqual([
      {
        name: 'LEDGER_DATABASE_URL',
        value: '(not shown)',
        rule: 'must be a URL that begins with postgres:// or postgresql://',
        source: 'environment',
      },
    ]);
  });

  it.each(['postgres://user:secret@db:port/ledger', 'postgres://user:secret@[::db/ledger'])(
    'must be one that can be read, and is not shown: %s',
    (url) => {
      const [fault] = faultsOf({ LEDGER_DATABASE_URL: url });
      expect(fault).toMatchObject({ name: 'LEDGER_DATABASE_URL', source: 'environment' });
      expect(fault!.rule).toContain('percent-encoded');
      expect(JSON.stringify(fault)).not.toContain('secret');
    },
  );

  it('is never in errors, settings or warnings', () => {
    const environment = { LEDGER_DATABASE_URL: URL, LEDGER_ASYNC_DATABASE_URL: URL };
    const { settings, warnings } = resolved(environment);
    expect(JSON.stringify([settings, warnings])).not.toContain('hush');
    const faults = faultsOf(
      { ...environment, LEDGER_ASYNC_STRATEGY: URL, LEDGER_CONFIG_FILE: URL },
      { defaults: { dataSource: {} as never, connection: 'postgres://hush@' as never } },
    );
    expect(faults.map(({ name }) => name)).toEqual([
      'LEDGER_ASYNC_STRATEGY',
      'LEDGER_CONFIG_FILE',
      'dataSource',
      'LEDGER_DATABASE_URL',
      'LEDGER_ASYNC_DATABASE_URL',
    ]);
    expect(JSON.stringify(faults)).not.toContain('hush');
  });
});
