import { describe, expect, it } from 'vitest';
import { proxyTo } from './proxy-settings.js';

const proxy = 'http://proxy:3128';
const to = (target: string, environment: Record<string, string>) =>
  proxyTo(new URL(target), environment);

describe('proxyTo', () => {
  it.each([
    ['http://models.example', { HTTP_PROXY: proxy }, 'http://proxy:3128'],
    ['http://models.example', { HTTP_PROXY: 'proxy:3128' }, 'http://proxy:3128'],
    ['http://models.example', { HTTP_PROXY: ' http://proxy:3128/\n' }, 'http://proxy:3128'],
    ['http://models.example', { HTTP_PROXY: proxy, http_proxy: 'http://own:1' }, 'http://own:1'],
    ['http://models.example', { HTTP_PROXY: proxy, http_proxy: '' }, undefined],
    ['http://models.example', { HTTPS_PROXY: proxy }, undefined],
    ['https://models.example', { HTTPS_PROXY: proxy, HTTP_PROXY: 'x:1' }, 'http://proxy:3128'],
    ['https://models.example', { HTTP_PROXY: proxy }, 'http://proxy:3128'],
    ['https://models.example', {}, undefined],
  ])('reaches %s with %o through %s', (target, environment, uri) => {
    expect(to(target, environment)?.uri).toBe(uri);
  });

  it.each([
    ['user:secret', 'user:secret'],
    ['token@', 'token:'],
    ['al%40ice:p%3Aw%C3%A9', 'al@ice:p:wé'],
    ['user:100%', 'user:100%'],
  ])('keeps the credentials %s out of the address', (given, credentials) => {
    const address = `http://${given.replace(/@?$/, '@')}proxy:3128`;
    const token = `Basic ${Buffer.from(credentials).toString('base64')}`;
    const settings = { uri: 'http://proxy:3128', token };
    expect(to('http://models.example', { HTTP_PROXY: address })).toEqual(settings);
  });

  it.each(['http://user:secret@:x', 'http://', 'socks5://user:secret@proxy:1', 'a b'])(
    'refuses %s, and does not repeat it',
    (address) => {
      const refused = () => to('http://models.example', { HTTP_PROXY: address });
      expect(refused).toThrow(/HTTP_PROXY is no address/);
      expect(refused).not.toThrow(/secret/);
    },
  );

  it.each([
    ['https://models.example', 'models.example'],
    ['https://models.example', 'example'],
    ['https://models.example', '.example'],
    ['https://models.example', '*.example'],
    ['https://models.example', 'MODELS.Example.'],
    ['https://models.example', 'other  models.example:443'],
    ['http://models.example', 'models.example:80'],
    ['http://models.example:8080', 'models.example:8080'],
    ['http://models.example', '*'],
    ['http://models.example', 'localhost, *'],
    ['http://10.1.2.3:8000', '10.1.2.3'],
    ['http://10.1.2.3:8000', '10.1.2.3:8000'],
    ['http://10.1.2.3:8000', '10.0.0.0/8'],
    ['http://[::1]:8000', 'localhost,127.0.0.1,::1'],
    ['http://[::1]:8000', '[::1]'],
    ['http://[::1]:8000', '[::1]:8000'],
    ['http://[::1]:8000', '0:0:0:0:0:0:0:1'],
    ['http://[fd00::5]', 'fd00::/8'],
  ])('reaches %s directly if NO_PROXY is %s', (target, NO_PROXY) => {
    expect(to(target, { HTTP_PROXY: proxy, NO_PROXY })).toBeUndefined();
  });

  it.each([
    ['https://models.example', ''],
    ['https://models.example', 'odels.example'],
    ['https://models.example', 'eu.models.example'],
    ['https://models.example', 'models.example:80'],
    ['https://models.example', '.'],
    ['https://models.example', '10.0.0.0/8'],
    ['http://10.1.2.3', '1.2.3'],
    ['http://10.1.2.3', '10.1.2.3:8000'],
    ['http://10.1.2.3', '11.0.0.0/8'],
    ['http://10.1.2.3', '10.0.0.0/33'],
    ['http://10.1.2.3', '10.0.0.0/x'],
    ['http://10.1.2.3', '10.0.0.0/'],
    ['http://10.1.2.3', '10.0.0.0/8.5'],
    ['http://10.1.2.3', 'ten/8'],
    ['http://[::1]:8000', '[::1]:80'],
    ['http://[::1]:8000', '::2'],
  ])('does not if %s is asked for and NO_PROXY is "%s"', (target, NO_PROXY) => {
    expect(to(target, { HTTP_PROXY: proxy, NO_PROXY })?.uri).toBe('http://proxy:3128');
  });
});
