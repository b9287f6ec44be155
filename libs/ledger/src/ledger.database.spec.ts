import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { LedgerConnectionOptions } from './config/ledger-options.interface.js';
import { resolveLedgerOptions } from './config/resolve-ledger-options.js';
import { isLedgerError } from './errors/is-ledger-error.js';
import { LedgerDatabase } from './ledger.database.js';

function optionsOf(connection: LedgerConnectionOptions): object {
  const options = resolveLedgerOptions({ connection, numWorkers: 3, batchSize: 10 });
  return new LedgerDatabase(options, 'usage').dataSource.options;
}

/** What the boot says of a ledger on this connection, or on a DataSource of the application's. */
function refusalOf(connection: object, isOwn = true): string | undefined {
  const dataSource = new DataSource({ type: 'postgres', ...connection });
  const given = isOwn ? { connection } : {};
  try {
    new LedgerDatabase(resolveLedgerOptions(given), 'usage').find(() => dataSource);
  } catch (error) {
    return isLedgerError(error, 'LEDGER_OPTIONS') ? error.message : String(error);
  }
  return undefined;
}

describe('options that no ledger can write with', () => {
  it.each([
    ['extra.pipeline', { extra: { pipeline: true } }],
    ['extra.replication', { extra: { replication: 'database' } }],
    ["url's parameter replication", { url: 'postgres://db/usage?replication=true' }],
    ['dropSchema', { dropSchema: true }],
    ['synchronize', { synchronize: true }],
    ['migrationsRun', { migrationsRun: true }],
    ['cache', { cache: { duration: 1 } }],
    [
      'extra.options: default_transaction_read_only',
      { extra: { options: '-c default_transaction_read_only=on' } },
    ],
    ['extra.options: exit_on_error', { extra: { options: '--exit-on-error=TRUE -c jit=off' } }],
    [
      "url's parameter options: session_replication_role",
      { url: 'postgres://db/usage?options=-c%20session_replication_role%3Dreplica' },
    ],
  ])('%s is refused at boot by its name', (name, connection) => {
    expect(refusalOf(connection)).toContain(`connection.${name} = `);
  });

  it.each(['pipeline', 'replication'])(
    '%s is refused in the DataSource of the application',
    (name) => {
      const refused = refusalOf({ extra: { [name]: true } }, false);
      expect(refused).toContain(`dataSource.extra.${name} = true`);
      expect(refused).toContain('a `connection` of its own');
    },
  );

  it('are taken where they are off, and dropSchema where it is the application’s own affair', () => {
    expect(refusalOf({ extra: { pipeline: false, replication: 'off' } })).toBeUndefined();
    expect(refusalOf({ dropSchema: true }, false)).toBeUndefined();
  });
});

/** Each made the ledger fail silently, or report an unreachable database. */
const MISUSED: readonly (readonly [name: string, value: unknown, shown: string])[] = [
  ...['poolSize', 'extra.max', 'extra.poolSize'].flatMap((name) =>
    [-1, 1.5, Number.NaN, Infinity, 'many', true].map(
      (value) => [name, value, typeof value === 'string' ? `"${value}"` : `${value}`] as const,
    ),
  ),
  ...[
    'connectTimeoutMS',
    'extra.connectionTimeoutMillis',
    'extra.query_timeout',
    'extra.statement_timeout',
    'extra.lock_timeout',
    'extra.idle_in_transaction_session_timeout',
  ].flatMap((name) =>
    [-1, Number.NaN, '5s', 2 ** 31].map(
      (value) => [name, value, typeof value === 'string' ? `"${value}"` : `${value}`] as const,
    ),
  ),
  ['port', 70_000, '70000'],
  ['extra.port', 'five', '"five"'],
  ['applicationName', { a: 1 }, 'an object'],
  ['extra.application_name', 'a\0b', '"a\\u0000b"'],
  ['schema', 5, '5'],
  ['password', 5, '(not shown)'],
  ['extra.password', { hush: 1 }, '(not shown)'],
  ['poolErrorHandler', 'log', '"log"'],
  ['extra.verify', {}, 'an object'],
  ['extra.onConnect', 'SET x', '"SET x"'],
  ['extra.Client', 'pg', '"pg"'],
  ['extra.stream', {}, 'an object'],
  ['extra.connection', {}, 'an object'],
  ['extra.types', {}, 'an object'],
  ['extra.sslnegotiation', 'maybe', '"maybe"'],
  ['extra', 'max=5', '"max=5"'],
  ['driver', {}, 'an object'],
  ['replication', { slaves: [] }, 'an object'],
];

describe('values that neither TypeORM nor pg can work with', () => {
  it.each(MISUSED)('%s = %o is refused at boot by name', (name, value, shown) => {
    const [first, second] = name.split('.');
    const connection = second ? { extra: { [second]: value } } : { [first!]: value };
    const options = resolveLedgerOptions({ connection });
    const boot = (): unknown => new LedgerDatabase(options, 'usage');
    expect(boot).toThrow(`connection.${name} = ${shown} (code): must be `);
  });

  it.each([
    ['extra.max', { extra: { max: -1 } }],
    ['extra.query_timeout', { extra: { query_timeout: '5s' } }],
    ["url's parameter statement_timeout", { url: 'postgres://db/usage?statement_timeout=5s' }],
  ])("%s is refused in the application's DataSource too", (name, options) => {
    expect(refusalOf(options, false)).toContain(`dataSource.${name} = `);
  });

  it('are not those that an environment gives as text, or that say nothing', () => {
    const extra = { max: '3', query_timeout: '250', statement_timeout: '0', lock_timeout: false };
    expect(refusalOf({ port: '5432', poolSize: '4', extra })).toBeUndefined();
    const nothing = { max: undefined, query_timeout: '', types: null, options: '' };
    expect(refusalOf({ poolSize: 0, extra: nothing, replication: undefined })).toBeUndefined();
    expect(
      refusalOf({ extra: { options: '-c exit_on_error=f -c a.b=on -c constructor=1' } }),
    ).toBeUndefined();
  });
});

describe('the size of the pool', () => {
  it.each([
    [{ poolSize: 4 }, 4],
    [{ poolSize: '4' }, 4],
    [{ poolSize: 4, extra: { max: '7' } }, 7],
    // What pg-pool makes of it.
    [{ poolSize: 4, extra: { max: undefined } }, 10],
    [{ poolSize: 4, extra: { max: 0, poolSize: 6 } }, 6],
    [{ poolSize: 0 }, 10],
    [{}, 10],
  ])('of %o is %i, as pg has it', (given, size) => {
    const dataSource = new DataSource({ type: 'postgres', ...given } as never);
    const database = new LedgerDatabase(resolveLedgerOptions({}), 'usage');
    database.find(() => dataSource);
    expect(database.poolSize).toBe(size);
  });
});

describe("the ledger's own connection", () => {
  it('has a pool of its workers and two more, and a time limit to connect', () => {
    const expected = { applicationName: 'nestjs-ledger usage', poolSize: 5, type: 'postgres' };
    expect(optionsOf({})).toMatchObject({ ...expected, connectTimeoutMS: 10_000 });
    const given = { poolSize: undefined, connectTimeoutMS: undefined } as object;
    expect(optionsOf(given)).toMatchObject({ ...expected, connectTimeoutMS: 10_000 });
    expect(optionsOf({ connectTimeoutMS: 0 })).toMatchObject({ connectTimeoutMS: 10_000 });
  });

  it('is made to the master alone, and changes nothing of the process', () => {
    const master = { url: 'postgres://app@primary/usage', applicationName: 'metering' };
    const slaves = [{ url: 'postgres://app@standby/usage' }];
    const given = { url: 'postgres://other/usage', parseInt8: true, useUTC: true };
    const options = optionsOf({ ...given, replication: { master, slaves } });
    expect(options).toMatchObject(master);
    expect(options).toMatchObject({ replication: undefined, parseInt8: undefined });
    expect(options).toMatchObject({ useUTC: undefined, poolSize: 5 });
  });

  it('outlives a handler of pool errors that throws', () => {
    const heard: unknown[] = [];
    const poolErrorHandler = (error: unknown): void => {
      heard.push(error);
      throw new Error('of the handler');
    };
    const options = optionsOf({ poolErrorHandler }) as { poolErrorHandler(error: unknown): void };
    expect(() => options.poolErrorHandler('gone')).not.toThrow();
    expect(heard).toEqual(['gone']);
  });

  it('takes other figures, and keeps all else that it is given', () => {
    const given = { poolSize: 9, connectTimeoutMS: 500, host: 'db', ssl: true };
    expect(optionsOf(given)).toMatchObject(given);
  });
});
