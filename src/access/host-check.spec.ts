import { describe, expect, it } from 'vitest';
import { isLoopback, isOwnHost } from './host-check.js';

describe('isOwnHost', () => {
  it.each([
    undefined,
    'localhost',
    'localhost:3000',
    'LocalHost:3000',
    'app.localhost:3000',
    '127.0.0.1:3000',
    '10.1.2.3',
    '[::1]:3000',
    '[fe80::1]',
    'gateway.internal:3000',
    'gateway.internal.',
  ])('takes %s', (header) => {
    expect(isOwnHost(header, ['gateway.internal'])).toBe(true);
  });

  it.each([
    'evil.example',
    'evil.example:3000',
    'localhost.evil.example',
    '127.0.0.1.evil.example:3000',
    'evil-localhost',
    'gateway.internal.evil.example',
    'x',
    '',
    'localhost:3000:1',
    'localhost@evil.example',
    '[::1]x',
    '2130706433',
  ])('refuses %j', (header) => {
    expect(isOwnHost(header, ['gateway.internal'])).toBe(false);
  });
});

describe('isLoopback', () => {
  it.each(['127.0.0.1', '127.8.8.8', 'localhost', '::1', '::ffff:127.0.0.1'])(
    'knows %s',
    (host) => {
      expect(isLoopback(host)).toBe(true);
    },
  );
  it.each(['0.0.0.0', '::', '10.0.0.1', 'gateway', '127.evil.example', '1127.0.0.1'])(
    'reaches further with %s',
    (host) => expect(isLoopback(host)).toBe(false),
  );
});
