import { describe, expect, it } from 'vitest';
import { defaultLedger, defineLedger } from '../define-ledger.js';
import { ledgerCommand, migrateCommand } from './ledger-command.js';

describe('ledgerCommand', () => {
  it('needs no option for the default ledger', () => {
    expect(migrateCommand(defaultLedger)).toBe('npx nestjs-ledger migrate');
    expect(ledgerCommand('rollup --rebuild', defineLedger())).toBe(
      'npx nestjs-ledger rollup --rebuild',
    );
  });

  it('asks for the definition of any other, by its name if it has one', () => {
    expect(migrateCommand(defineLedger({ columns: { model: 'text' } }))).toBe(
      'npx nestjs-ledger migrate -d <file with the definition>',
    );
    expect(ledgerCommand('rollup', defineLedger({ name: 'usage' }))).toBe(
      'npx nestjs-ledger rollup -d <file with the definition of usage>',
    );
  });

  it('names the schema of the connection where it decides, quoted for a shell', () => {
    expect(migrateCommand(defaultLedger, 'app')).toBe(
      'npx nestjs-ledger migrate --connection-schema app',
    );
    expect(migrateCommand(defaultLedger, "it's $HOME")).toBe(
      `npx nestjs-ledger migrate --connection-schema 'it'\\''s $HOME'`,
    );
    // A definition that was placed in the connection's schema is still the application's.
    expect(ledgerCommand('rollup', { ...defaultLedger, schema: 'app' }, 'app')).toBe(
      'npx nestjs-ledger rollup --connection-schema app',
    );
    expect(migrateCommand(defineLedger({ schema: 'own' }), 'app')).toBe(
      'npx nestjs-ledger migrate -d <file with the definition>',
    );
  });
});
