import { describe, expect, it } from 'vitest';
import type { LedgerConnectionOptions } from './config/ledger-options.interface.js';
import { resolveLedgerOptions } from './config/resolve-ledger-options.js';
import { LedgerDatabase } from './ledger.database.js';

function optionsOf(connection: LedgerConnectionOptions): object {
  const options = resolveLedgerOptions({ connection, numWorkers: 3, batchSize: 10 });
  return new LedgerDatabase(options, 'usage').dataSource.options;
}

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
