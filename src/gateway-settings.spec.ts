import { describe, expect, it } from 'vitest';
import { readGatewaySettings } from './gateway-settings.js';

describe('readGatewaySettings', () => {
  it('has a default for everything, also where a variable is set to nothing', () => {
    const defaults = {
      port: 3000,
      requestTimeoutMs: 60_000,
      host: '0.0.0.0',
      databaseUrl: undefined,
      dataDir: '.data',
      loopbackTokenMs: 0,
      upstreamBaseUrl: undefined,
      upstreamApiKey: undefined,
      upstreamTimeoutMs: 600_000,
      apiKeys: [],
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

  it('takes an upstream with or without a slash at the end', () => {
    const { upstreamBaseUrl } = readGatewaySettings({ UPSTREAM_BASE_URL: 'http://host:1/v1/' });
    expect(upstreamBaseUrl).toBe('http://host:1/v1');
    expect(() => readGatewaySettings({ UPSTREAM_BASE_URL: 'file:///etc' })).toThrow(
      /UPSTREAM_BASE/,
    );
  });

  it.each(['sk-secret-0123456789', 'a:b:sk-short', `a:b:${'k'.repeat(16)},c:b:${'l'.repeat(16)}`])(
    'refuses the keys %s and does not show them',
    (text) => {
      const read = () => readGatewaySettings({ GATEWAY_API_KEYS: text });
      expect(read).toThrow(/GATEWAY_API_KEYS: user:keyId:key/);
      expect(read).not.toThrow(/sk-|kkk/);
    },
  );

  it('names every wrong variable at once', () => {
    const wrong = { PORT: '70000', LOOPBACK_TOKEN_MS: 'soon' };
    expect(() => readGatewaySettings(wrong)).toThrow(/PORT: .*LOOPBACK_TOKEN_MS: /);
  });
});
