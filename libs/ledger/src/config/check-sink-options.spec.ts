import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { InMemorySink } from '../testing/in-memory.sink.js';
import type { LedgerOptions } from './ledger-options.interface.js';
import { readLedgerConfig } from './read-ledger-config.js';
import { resolveLedgerOptions } from './resolve-ledger-options.js';

const sink = new InMemorySink();
const dataSource = new DataSource({ type: 'postgres' });
const reader = {
  summary: () => Promise.reject(new Error()),
  listRecent: () => Promise.reject(new Error()),
  report: () => Promise.reject(new Error()) as never,
  find: async () => undefined,
};

/** Lines of the error, one a fault. */
function faultsOf(options: LedgerOptions): string[] {
  try {
    resolveLedgerOptions(options);
  } catch (error) {
    if (!isLedgerError(error, 'LEDGER_OPTIONS')) throw error;
    return error.faults.map((each) => `${each.name} (${each.source}) ${each.rule}`);
  }
  return [];
}

describe('options with a sink of the application', () => {
  it('put dead letters into a file, and keep a store from code', () => {
    const { deadLetters, settings } = resolveLedgerOptions({ sink });
    expect(deadLetters).toBe('file');
    expect(settings['deadLetters']).toEqual({ value: 'file', source: 'default' });
    const store = { store: async () => {} };
    expect(resolveLedgerOptions({ sink, deadLetters: store }).deadLetters).toBe(store);
    expect(resolveLedgerOptions({}).deadLetters).toBe('table');
  });

  it.each<[LedgerOptions, string]>([
    [{ connection: {} }, 'connection (code) is given together with sink'],
    [{ dataSource }, 'dataSource (code) is given together with sink'],
    [{ migrations: 'run' }, 'migrations (code) needs PostgreSQL'],
    [{ migrations: 'verify' }, 'migrations (code) needs PostgreSQL'],
    [{ retention: { keep: 3 } }, 'retention (code) needs PostgreSQL'],
    [{ deadLetters: 'table' }, 'deadLetters (code) needs PostgreSQL'],
  ])('refuse what only PostgreSQL has: %o', (options, fault) => {
    expect(faultsOf({ sink, ...options })).toEqual([expect.stringContaining(fault)]);
  });

  it('name the environment where that gave it', () => {
    const environment = {
      LEDGER_DATABASE_URL: 'postgres://db/app',
      LEDGER_ASYNC_DEAD_LETTERS: 'table',
    };
    expect(faultsOf(readLedgerConfig('default', { defaults: { sink } }, environment))).toEqual([
      'LEDGER_DATABASE_URL (environment) is given together with sink; give one of them ' +
        '(set LEDGER_<NAME>_DATABASE_URL if it is meant for another ledger)',
      'LEDGER_ASYNC_DEAD_LETTERS (environment) needs PostgreSQL, but this ledger writes to ' +
        'its own sink; set it to file',
    ]);
  });

  it('take settings that fit, and a reader', () => {
    expect(faultsOf({ sink, reader, migrations: 'off', numWorkers: 4 })).toEqual([]);
    expect(faultsOf({ reader })).toEqual([expect.stringContaining('is given without sink')]);
  });

  it.each([{ write: async () => {} }, 'http://collector', null])('refuse %j as a sink', (wrong) => {
    expect(faultsOf({ sink: wrong as never })).toEqual([
      expect.stringContaining('must be an object with the methods of a LedgerSink'),
    ]);
  });
});
