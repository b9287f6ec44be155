import { describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerConnectionOptions, LedgerOptions } from './ledger-options.interface.js';
import { readLedgerConfig } from './read-ledger-config.js';
import { resolveLedgerOptions } from './resolve-ledger-options.js';

const password = (): string => 'token';

function faultsOf(connection: LedgerConnectionOptions): string[] {
  try {
    resolveLedgerOptions({ connection });
    return [];
  } catch (error) {
    if (!isLedgerError(error, 'LEDGER_OPTIONS')) throw error;
    return error.faults.map(({ name }) => name);
  }
}

function fromEnvironment(url: string, defaults: LedgerOptions) {
  const config = readLedgerConfig('default', { defaults }, { LEDGER_DATABASE_URL: url });
  return resolveLedgerOptions(config, 64);
}

describe('what code gives beside connection.url', () => {
  it.each<[string, LedgerConnectionOptions]>([
    ['connection.password', { url: 'postgres://app:hush@db/app', password }],
    ['connection.password', { url: 'postgres://app:hush@db/app', extra: { password: 'other' } }],
    ['connection.host', { url: 'postgres://app@db/app', host: 'other' }],
    ['connection.port', { url: 'postgres://app@db:6432/app', port: 5432 }],
    ['connection.username', { url: 'postgres://app@db/app', username: 'root' }],
    ['connection.database', { url: 'postgres:///app?host=/tmp', database: 'other' }],
    ['connection.ssl', { url: 'postgres://app@db/app?sslmode=disable', ssl: true }],
  ])('is refused by name where the URL says it too: %s', (name, connection) => {
    expect(faultsOf(connection)).toEqual([name]);
  });

  it.each<LedgerConnectionOptions>([
    { url: 'postgres://app@db/app', password },
    { url: 'postgres://app:hush@db/app', ssl: { rejectUnauthorized: false } },
    { url: 'postgres://db/app', username: 'app', password: 'hush', port: 6432 },
    { url: 'postgres://app@db:5432/app', host: 'db', port: 5432, database: 'app' },
    { url: '', host: 'db' },
  ])('is taken where the URL does not say it, or says the same', (connection) => {
    expect(faultsOf(connection)).toEqual([]);
  });
});

describe('what code gives beside LEDGER_DATABASE_URL', () => {
  it('gives way to what the URL says, and the port of another host with it', () => {
    const connection = {
      host: 'localhost',
      port: 5433,
      username: 'dev',
      database: 'dev',
      ssl: true,
    };
    expect(fromEnvironment('postgres://app@db/app', { connection }).connection).toEqual({
      url: 'postgres://app@db/app',
      ssl: true,
    });
  });

  it('keeps a password that only a function knows, where the URL has none', () => {
    const { connection, warnings } = fromEnvironment('postgres://app@db/app', {
      connection: { password },
    });
    expect(connection).toEqual({ url: 'postgres://app@db/app', password });
    expect(warnings).toEqual([]);
  });

  it('warns of a function and of TLS that the URL sets aside, by name', () => {
    const url = 'postgres://app:hush@db/app?sslmode=verify-full';
    const { connection, warnings } = fromEnvironment(url, { connection: { password, ssl: true } });
    expect(connection).toEqual({ url });
    expect(warnings).toEqual([
      expect.stringMatching(/^connection.password \(code\) has no effect: LEDGER_DATABASE_URL/),
      expect.stringMatching(/^connection.ssl \(code\) has no effect: LEDGER_DATABASE_URL/),
    ]);
    expect(warnings.join()).not.toContain('hush');
  });
});

describe('parameters of a URL', () => {
  it('are reported where neither pg nor the ledger knows them, wherever the URL stands', () => {
    const query = '?pgbouncer=true&sslmode=disable&application_name=x&connection_limit=5';
    const { warnings } = fromEnvironment(`postgres://app@db/app${query}`, {});
    expect(warnings).toEqual([
      expect.stringMatching(
        /^LEDGER_DATABASE_URL: the URL's parameter pgbouncer is known to neither/,
      ),
      expect.stringMatching(/^LEDGER_DATABASE_URL: the URL's parameter connection_limit is known/),
    ]);
    const url = 'socket:/tmp?db=app&port=5433&schema=x';
    expect(resolveLedgerOptions({ connection: { url } }, 64).warnings).toEqual([
      expect.stringMatching(/^connection.url: the URL's parameter schema is known to neither/),
    ]);
  });
});

describe('an address', () => {
  it.each([
    'postgres://app:pw@/app?host=/run/postgresql',
    'postgresql:///app?host=/tmp&port=5433&user=app',
    'postgres://app@%2Fvar%2Frun%2Fpostgresql/app',
    'socket:/var/run/postgresql?db=app',
    '/var/run/postgresql app',
    'postgres://app:50%off@db/app',
  ])('that pg takes is taken from code and environment: %s', (url) => {
    expect(faultsOf({ url })).toEqual([]);
    expect(fromEnvironment(url, {}).connection).toEqual({ url });
  });

  it.each([
    'db.example/app',
    'mysql://app@db/app',
    'host=db dbname=app',
    'postgres://app@[::db/app',
  ])('that means no PostgreSQL, or nothing, is refused: %s', (url) => {
    expect(faultsOf({ url })).toEqual(['connection.url']);
  });
});
