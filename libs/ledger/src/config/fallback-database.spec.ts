import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { noDatabaseRule, withFallbackDatabase } from './fallback-database.js';
import type { LedgerOptions } from './ledger-options.interface.js';
import { readLedgerConfig } from './read-ledger-config.js';

const URL = 'postgres://app:hush@db/shop';

function connectionOf(
  environment: Record<string, string>,
  defaults: LedgerOptions = {},
  hasDataSource = false,
): unknown {
  const options = readLedgerConfig('usage', { defaults }, environment);
  return withFallbackDatabase(options, hasDataSource).connection;
}

describe('DATABASE_URL', () => {
  it.each([URL, ` ${URL}\n`])('is the database where nothing else is: %j', (url) => {
    expect(connectionOf({ DATABASE_URL: url })).toEqual({ url: URL });
  });

  it('comes last', () => {
    const own = { url: 'postgres://own' };
    for (const name of ['LEDGER_DATABASE_URL', 'LEDGER_USAGE_DATABASE_URL']) {
      expect(connectionOf({ DATABASE_URL: URL, [name]: own.url })).toEqual(own);
    }
    expect(connectionOf({ DATABASE_URL: URL }, { connection: own })).toEqual(own);
    expect(connectionOf({ DATABASE_URL: URL }, {}, true)).toBeUndefined();
    const dataSource = {} as NonNullable<LedgerOptions['dataSource']>;
    expect(connectionOf({ DATABASE_URL: URL }, { dataSource })).toBeUndefined();
    const sink = {} as NonNullable<LedgerOptions['sink']>;
    expect(connectionOf({ DATABASE_URL: URL }, { sink })).toBeUndefined();
  });

  it('that is set to nothing is not set', () => {
    expect(connectionOf({ DATABASE_URL: '' })).toBeUndefined();
    expect(connectionOf({ DATABASE_URL: '  ' })).toBeUndefined();
  });

  it.each(['mysql://app:hush@db/shop', 'file:./hush.db', 'hush'])(
    'of another kind is refused only where it would be used, and not shown: %s',
    (url) => {
      expect(connectionOf({ DATABASE_URL: url }, {}, true)).toBeUndefined();
      expect(() => connectionOf({ DATABASE_URL: url })).toThrow(/DATABASE_URL = \(not shown\)/);
      expect(() => connectionOf({ DATABASE_URL: url })).not.toThrow(/hush/);
    },
  );

  it('is not read for options that were written by hand', () => {
    expect(withFallbackDatabase({ flushMs: 5 }, false).connection).toBeUndefined();
  });
});

describe('without any database', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ledger-env-'));
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true, force: true });
  });

  it('the boot names all ways', () => {
    const rule = noDatabaseRule(folder);
    expect(rule).toMatch(/^no database: set LEDGER_DATABASE_URL or DATABASE_URL/);
    for (const way of ['connection', 'dataSource', 'TypeOrmModule']) expect(rule).toContain(way);
    expect(rule).not.toContain('.env');
  });

  it.each([
    ['LEDGER_DATABASE_URL', 'LEDGER_DATABASE_URL=postgres://me:hush@db/x'],
    ['LEDGER_USAGE_DATABASE_URL', '# a\nexport LEDGER_USAGE_DATABASE_URL = "postgres://hush"'],
    ['DATABASE_URL', 'PORT=3000\r\nDATABASE_URL=postgres://hush@db/x\r\n'],
  ])('the boot says that nothing loaded the .env file with %s', async (name, text) => {
    await writeFile(join(folder, '.env'), text);
    vi.stubEnv(name, undefined);
    const rule = noDatabaseRule(folder);
    expect(rule).toContain(`the file .env has ${name}, but nothing loaded it: import ConfigModule`);
    expect(rule).not.toContain('hush');
  });

  it.each(['#LEDGER_DATABASE_URL=postgres://x', 'LEDGER_DATABASE_URL=', 'PORT=1'])(
    'the boot does not blame an .env file that has %s',
    async (text) => {
      await writeFile(join(folder, '.env'), `${text}\n`);
      expect(noDatabaseRule(folder)).not.toContain('.env');
    },
  );
});
