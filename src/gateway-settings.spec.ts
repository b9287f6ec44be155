import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readGatewaySettings } from './gateway-settings.js';

describe('readGatewaySettings', () => {
  it('has a default for everything, also where a variable is set to nothing', () => {
    const defaults = {
      port: 3000,
      requestTimeoutMs: 60_000,
      host: '127.0.0.1',
      databaseUrl: undefined,
      dataDir: '.data',
      loopbackTokenMs: 0,
      upstreamBaseUrl: undefined,
      upstreamApiKey: undefined,
      upstreamTimeoutMs: 600_000,
      apiKeys: [],
      hosts: [],
      clientTimeoutMs: 60_000,
      bytesInFlight: undefined,
      pricesFile: undefined,
      upstreamLingerMs: 2_000,
      upstreamPassThrough: [],
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

  it("takes an upstream with or without a slash at the end, and Azure's with its version", () => {
    const of = (url: string) => readGatewaySettings({ UPSTREAM_BASE_URL: url }).upstreamBaseUrl;
    for (const url of [
      'http://host:1/v1/',
      'https://me.openai.azure.com/openai/deployments/gpt4o?api-version=2024-10-21',
    ]) {
      expect(of(url)).toBe(url);
    }
    expect(() => readGatewaySettings({ UPSTREAM_BASE_URL: 'file:///etc' })).toThrow(
      /UPSTREAM_BASE/,
    );
  });

  it.each([
    'https://me:secret@host/v1',
    'https://host/v1?key=secret',
    'https://host/v1#secret',
    'https://secret@host?',
    'https://host/v1?api-version=1&key=secret',
    'https://secret@host/v1?api-version=1',
  ])('refuses the upstream %s, of which not all would be sent, and does not show it', (url) => {
    const read = () => readGatewaySettings({ UPSTREAM_BASE_URL: url });
    expect(read).toThrow(/UPSTREAM_BASE_URL: a URL without user, query/);
    expect(read).not.toThrow(/secret/);
  });

  it('takes the key of the upstream without the line end of its file, and only what can be sent', () => {
    const of = (key: string) =>
      readGatewaySettings({ UPSTREAM_API_KEY: key, HOST: '127.0.0.1' }).upstreamApiKey;
    expect(of(' sk-upstream\r\n')).toBe('sk-upstream');
    for (const key of ['sk-\nsecret', 'sk-secret…', 'sk secret', '\n']) {
      expect(() => of(key)).toThrow(/UPSTREAM_API_KEY: visible ASCII characters/);
      expect(() => of(key)).not.toThrow(/secret/);
    }
  });

  it.each(['sk-secret-0123456789', 'a:b:sk-short', `a:b:${'k'.repeat(16)},c:b:${'l'.repeat(16)}`])(
    'refuses the keys %s and does not show them',
    (text) => {
      const read = () => readGatewaySettings({ GATEWAY_API_KEYS: text });
      expect(read).toThrow(/GATEWAY_API_KEYS: user:keyId:key/);
      expect(read).not.toThrow(/sk-|kkk/);
    },
  );

  it.each([
    [{ UPSTREAM_API_KEY: 'sk-paid' }, /UPSTREAM_API_KEY: without keys everybody may call with it/],
    [{ UPSTREAM_API_KEY: 'sk-paid', HOST: '0.0.0.0' }, /HOST: without keys everybody/],
    [{ HOST: '0.0.0.0' }, /HOST: without keys everybody/],
    [{ HOST: '::' }, /HOST: without keys everybody/],
    [{ HOST: '10.0.0.1', GATEWAY_OPEN: 'false' }, /GATEWAY_API_KEYS, or GATEWAY_OPEN=true/],
    [{ HOST: 'gateway.internal' }, /HOST: without keys everybody/],
  ])('refuses to serve everybody with %j, and does not show the key', (environment, fault) => {
    const read = () => readGatewaySettings(environment);
    expect(read).toThrow(fault);
    expect(read).not.toThrow(/sk-paid/);
  });

  it.each([
    [{}, '127.0.0.1'],
    [{ GATEWAY_API_KEYS: 'alice:laptop:sk-alice-0123456789' }, '0.0.0.0'],
    [{ GATEWAY_API_KEYS: 'alice:laptop:sk-alice-0123456789', HOST: '10.0.0.1' }, '10.0.0.1'],
    [{ UPSTREAM_API_KEY: 'sk-paid', HOST: '127.0.0.1' }, '127.0.0.1'],
    [{ UPSTREAM_API_KEY: 'sk-paid', GATEWAY_OPEN: 'true' }, '127.0.0.1'],
    [{ UPSTREAM_API_KEY: 'sk-paid', GATEWAY_OPEN: 'true', HOST: '0.0.0.0' }, '0.0.0.0'],
  ])('with %j listens on %s', (environment, host) => {
    expect(readGatewaySettings(environment).host).toBe(host);
  });

  it('names what is wrong in a list of prices', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'gateway-prices-')), 'prices.json');
    onTestFinished(() => rmSync(dirname(path), { recursive: true }));
    writeFileSync(path, '{ "version": "1", "models": { "m": [{ "promt": 1 }] } }');
    const read = () => readGatewaySettings({ GATEWAY_PRICES: path });
    expect(read).toThrow(/GATEWAY_PRICES: .*promt/);
    rmSync(path);
    expect(read).toThrow(/GATEWAY_PRICES: ENOENT/);
  });

  it('names every wrong variable at once', () => {
    const wrong = { PORT: '70000', LOOPBACK_TOKEN_MS: 'soon' };
    expect(() => readGatewaySettings(wrong)).toThrow(/PORT: .*LOOPBACK_TOKEN_MS: /);
  });
});
