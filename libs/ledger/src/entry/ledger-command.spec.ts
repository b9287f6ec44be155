import { describe, expect, it } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import { ledgerCommand, migrateCommand } from './ledger-command.js';

describe('migrateCommand', () => {
  it('needs no option for the default ledger', () => {
    expect(migrateCommand(defineLedger())).toBe('npx nestjs-ledger migrate');
  });

  it('says all that makes the definition', () => {
    const usage = defineLedger({
      schema: 'metering',
      table: 'calls',
      ids: 'text',
      columns: { tenantId: 'uuid', model: 'text', costNanos: 'bigint' },
      partition: 'day',
      immutable: true,
      rollup: { dimensions: ['model', 'tenantId'] },
    });
    expect(migrateCommand(usage)).toBe(
      'npx nestjs-ledger migrate --schema metering --table calls --ids text ' +
        '--column tenantId:uuid --column model:text --column costNanos:bigint ' +
        '--partition day --immutable --rollup model,tenantId',
    );
    expect(migrateCommand(defineLedger({ rollup: false }), 'app')).toBe(
      'npx nestjs-ledger migrate --schema app --no-rollup',
    );
  });
});

describe('ledgerCommand', () => {
  it('quotes for a shell what it would not take as it is', () => {
    const usage = defineLedger({ schema: "it's $HOME", table: 'a b' });
    expect(ledgerCommand('rollup', usage)).toBe(
      `npx nestjs-ledger rollup --schema 'it'\\''s $HOME' --table 'a b'`,
    );
  });
});
