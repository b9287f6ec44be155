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

describe("the ledger's own connection", () => {
  it('has a pool of its workers and two more, and a time limit to connect', () => {
    const expected = { applicationName: 'nestjs-ledger usage', poolSize: 5, type: 'postgres' };
    expect(optionsOf({})).toMatchObject({ ...expected, connectTimeoutMS: 10_000 });
    const given = { poolSize: undefined, connectTimeoutMS: undefined } as object;
    expect(optionsOf(given)).toMatchObject({ ...expected, connectTimeoutMS: 10_000 });
    expect(optionsOf({ connectTimeoutMS: 0 })).toMatchObject({ connectTimeoutMS: 10_000 });
  });

  it('takes other figures, and keeps all else that it is given', () => {
    const given = { poolSize: 9, connectTimeoutMS: 500, host: 'db', ssl: true };
    expect(optionsOf(given)).toMatchObject(given);
  });
});
