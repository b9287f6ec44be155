import type { ExecutionContext } from '@nestjs/common';
import { NotFoundException } from '@nestjs/common';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LocalViewerGuard } from './local-viewer.guard.js';

afterEach(() => vi.unstubAllEnvs());

interface Caller {
  readonly from?: string | undefined;
  readonly headers?: Record<string, string>;
}

function letsIn({ from, headers }: Caller): boolean {
  const request = {
    method: 'GET',
    url: '/ledger',
    socket: { remoteAddress: from },
    headers: { host: 'localhost:3000', ...headers },
  };
  const context = { switchToHttp: () => ({ getRequest: () => request }) };
  try {
    return new LocalViewerGuard().canActivate(context as unknown as ExecutionContext);
  } catch (error) {
    expect(error).toBeInstanceOf(NotFoundException);
    expect((error as NotFoundException).message).toBe('Cannot GET /ledger');
    return false;
  }
}

describe('LocalViewerGuard', () => {
  it.each(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])('lets %s in', (from) => {
    expect(letsIn({ from })).toBe(true);
  });

  it.each(['localhost', 'ledger.localhost:3000', '127.0.0.1:3000', '[::1]:3000', 'LOCALHOST'])(
    'lets in who asks for %s',
    (host) => {
      expect(letsIn({ from: '127.0.0.1', headers: { host } })).toBe(true);
    },
  );

  it('lets nobody in in production', () => {
    vi.stubEnv('NODE_ENV', 'production');
    expect(letsIn({ from: '127.0.0.1' })).toBe(false);
  });

  it.each(['10.0.0.7', '172.17.0.1', '::ffff:10.0.0.7', '2001:db8::1', '128.0.0.1', undefined])(
    'answers %s as if there were nothing',
    (from) => {
      expect(letsIn({ from })).toBe(false);
    },
  );

  it.each([
    ['x-forwarded-for', '127.0.0.1'],
    ['x-forwarded-host', 'example.com'],
    ['x-forwarded-proto', 'https'],
    ['x-forwarded', '127.0.0.1'],
    ['forwarded', 'for=127.0.0.1'],
    ['x-real-ip', '127.0.0.1'],
    ['via', '1.1 proxy'],
    ['cf-connecting-ip', '127.0.0.1'],
    ['true-client-ip', '127.0.0.1'],
    ['x-original-host', 'example.com'],
  ])('takes %s for a proxy, which may speak for anyone', (name, value) => {
    expect(letsIn({ from: '127.0.0.1', headers: { [name]: value } })).toBe(false);
  });

  it.each(['example.com', 'localhost.example.com', '127.0.0.1.example.com', '10.0.0.7', ''])(
    'refuses a name that only resolves to this machine: %s',
    (host) => {
      expect(letsIn({ from: '127.0.0.1', headers: { host } })).toBe(false);
    },
  );
});
