import { describe, expect, it } from 'vitest';
import { parseNatsUrl } from './parse-nats-url.js';

describe('an address of NATS', () => {
  it('names servers, credentials and options', () => {
    expect(parseNatsUrl('nats://n1:4222')).toEqual({ servers: ['nats://n1:4222'] });
    expect(parseNatsUrl('tls://u%40x:p%3A1@n1:4222,n2/?replicas=1&stream=s&create=false')).toEqual({
      servers: ['tls://n1:4222', 'tls://n2'],
      connection: { user: 'u@x', pass: 'p:1' },
      replicas: 1,
      stream: 's',
      create: false,
    });
    expect(parseNatsUrl('nats://n1?retention=interest&stores=main,archive&store=main')).toEqual({
      servers: ['nats://n1'],
      retention: 'interest',
      stores: ['main', 'archive'],
      store: 'main',
    });
    expect(parseNatsUrl('nats://secret@n1')).toMatchObject({ connection: { token: 'secret' } });
  });

  it.each(['nats://', 'http://n1', 'nats://a@b@c', 'nats://n?x=1', 'nats://n?replicas=many', ''])(
    'is refused without being quoted: %j',
    (url) => {
      const refuse = (): unknown => parseNatsUrl(url);
      expect(refuse).toThrow(RangeError);
    },
  );

  it('never shows its password in an error', () => {
    const thrown = (): unknown => parseNatsUrl('nats://user:pa%ss@host');
    expect(thrown).toThrow('not percent-encoded');
    expect(thrown).not.toThrow('pa%ss');
  });
});
