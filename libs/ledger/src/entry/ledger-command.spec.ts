import { describe, expect, it } from 'vitest';
import { defaultLedger, defineLedger } from '../define-ledger.js';
import { ledgerCommand, migrateCommand, nameDefinition } from './ledger-command.js';

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

describe('nameDefinition', () => {
  const usage = defineLedger({ name: 'usage' });
  const text = `run \`${ledgerCommand('rollup', usage)}\`, then \`${migrateCommand(usage)}\``;

  it('puts the options of the command in place of each placeholder, quoted for a shell', () => {
    expect(nameDefinition(text, { definition: 'dist/usage.ledger.js' })).toBe(
      'run `npx nestjs-ledger rollup -d dist/usage.ledger.js`, ' +
        'then `npx nestjs-ledger migrate -d dist/usage.ledger.js`',
    );
    expect(
      nameDefinition(migrateCommand(usage), { definition: 'my $& app.js', ledger: 'usage' }),
    ).toBe("npx nestjs-ledger migrate -d 'my $& app.js' --ledger usage");
  });

  it('changes nothing without a path', () => {
    expect(nameDefinition(text, { ledger: 'usage' })).toBe(text);
  });
});
