import { describe, expect, it } from 'vitest';
import { readGatewaySettings } from './gateway-settings.js';

describe('readGatewaySettings', () => {
  it('has a default for everything, also where a variable is set to nothing', () => {
    const defaults = {
      port: 3000,
      host: '0.0.0.0',
      databaseUrl: undefined,
      dataDir: '.data',
      loopbackTokenMs: 0,
    };
    expect(readGatewaySettings({})).toEqual(defaults);
    expect(readGatewaySettings({ PORT: '', DATABASE_URL: '', DATA_DIR: '' })).toEqual(defaults);
  });

  it('takes the address of the ledger before that of the application', () => {
    const both = { DATABASE_URL: 'postgres://app', LEDGER_DATABASE_URL: 'postgres://ledger' };
    expect(readGatewaySettings(both).databaseUrl).toBe('postgres://ledger');
    expect(readGatewaySettings({ DATABASE_URL: 'postgres://app' }).databaseUrl).toBe(
      'postgres://app',
    );
  });

  it('names every wrong variable at once', () => {
    const wrong = { PORT: '70000', LOOPBACK_TOKEN_MS: 'soon' };
    expect(() => readGatewaySettings(wrong)).toThrow(/PORT: .*LOOPBACK_TOKEN_MS: /);
  });
});
