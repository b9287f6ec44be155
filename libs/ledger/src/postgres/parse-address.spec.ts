import { describe, expect, it } from 'vitest';
import { parseAddress } from './parse-address.js';

function partsOf(url: string): Record<string, unknown> {
  const { parameters, ...parts } = parseAddress(url);
  const single = Object.entries(parts).filter(
    ([name, value]) => name !== 'hosts' && value !== undefined,
  );
  return {
    ...Object.fromEntries(single),
    parameters: [...parameters.keys()],
  };
}

describe('parseAddress', () => {
  it.each([
    [
      'postgres://app:p%40ss@db.example:6432/meter',
      { host: 'db.example', port: '6432', user: 'app', password: 'p@ss', database: 'meter' },
    ],
    [
      'postgresql://app@[::1]:5433/meter',
      { host: '::1', port: '5433', user: 'app', database: 'meter' },
    ],
    [
      'postgres:///meter?host=/run/postgresql&user=app',
      { host: '/run/postgresql', user: 'app', database: 'meter' },
    ],
    [
      'postgres://app:pw@/meter?host=/tmp&port=5433',
      { host: '/tmp', port: '5433', user: 'app', password: 'pw', database: 'meter' },
    ],
    [
      'postgres://app@%2Fvar%2Frun%2Fpostgresql/meter',
      { host: '/var/run/postgresql', user: 'app', database: 'meter' },
    ],
    [
      'postgres://app@%2Ftmp:5433/meter',
      { host: '/tmp', port: '5433', user: 'app', database: 'meter' },
    ],
    ['postgres://app:pw@/meter', { user: 'app', password: 'pw', database: 'meter' }],
    ['socket:/var/run/postgresql?db=meter', { host: '/var/run/postgresql', database: 'meter' }],
    [
      'socket://app:pw@/run/pg?db=meter&port=5433',
      { host: '/run/pg', port: '5433', user: 'app', password: 'pw', database: 'meter' },
    ],
    ['/var/run/postgresql meter', { host: '/var/run/postgresql', database: 'meter' }],
    ['/var/run/postgresql', { host: '/var/run/postgresql' }],
    [
      'postgres://app:a b@db/my meter',
      { host: 'db', user: 'app', password: 'a b', database: 'my meter' },
    ],
  ])('reads %s as pg does', (url, expected) => {
    const { parameters, ...parts } = partsOf(url);
    expect(parts).toEqual(expected);
    expect(Array.isArray(parameters)).toBe(true);
  });

  it.each([
    ['postgres://app:pw@h1:5432,h2:5433/meter', ['h1 5432', 'h2 5433']],
    ['postgresql://h1,h2:5433,h3/meter', ['h1', 'h2 5433', 'h3']],
    ['postgres://app:p,w@[::1]:1,[fe80::2],h3/meter', ['::1 1', 'fe80::2', 'h3']],
    ['postgres://app@%2Frun%2Fpg:5433,h2/meter', ['/run/pg 5433', 'h2']],
    ['postgres:///meter?host=h1,/run/pg&port=1,2&user=app', ['h1 1', '/run/pg 2']],
    ['postgres://app@/meter?host=h1,h2&port=5433', ['h1 5433', 'h2 5433']],
    ['postgres://h1:1,h2:2/meter?host=h3', ['h3']],
    ['postgres://app:p,w@h1/meter', ['h1']],
    ['postgres:///meter', []],
  ])('reads the hosts of %s as libpq does', (url, expected) => {
    const { hosts, host, port, database } = parseAddress(url);
    expect(hosts.map((each) => [each.host, each.port].filter(Boolean).join(' '))).toEqual(expected);
    expect({ host, port }).toEqual(hosts[0] ?? { host: undefined, port: undefined });
    expect(database).toBe('meter');
  });

  it('keeps every parameter', () => {
    expect(partsOf('postgres://db/app?sslmode=require&pool_timeout=3')['parameters']).toEqual([
      'sslmode',
      'pool_timeout',
    ]);
  });

  it.each([
    'postgres://app:hush@[::db/meter',
    'postgres://app:hush@db:port/meter',
    'postgres://app:hush@h1,,h2/meter',
    'postgres://app:hush@h1:1,h2:port/meter',
    'postgres://app:hush@h1,/meter',
  ])('refuses %s without repeating it', (url) => {
    expect(() => parseAddress(url)).toThrow(/^not a URL$/);
  });
});
