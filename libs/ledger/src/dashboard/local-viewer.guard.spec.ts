import type { ExecutionContext } from '@nestjs/common';
import { NotFoundException } from '@nestjs/common';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DashboardToken } from './dashboard-token.js';
import { LocalViewerGuard } from './local-viewer.guard.js';

afterEach(() => vi.unstubAllEnvs());

const TOKEN = 'a-token-of-this-test';
const BY_LINK = `/ledger?ledger-token=${TOKEN}`;

interface Caller {
  readonly from?: string | undefined;
  readonly headers?: Record<string, string>;
  readonly url?: string;
  readonly encrypted?: boolean;
}

/** @returns the cookies of the answer; undefined if it equals that for an unknown address */
function look({ from, headers, url = BY_LINK, encrypted }: Caller): string[] | undefined {
  const request = {
    method: 'GET',
    url,
    socket: { remoteAddress: from, encrypted },
    headers: { host: 'localhost:3000', ...headers },
  };
  const cookies: string[] = [];
  const response = { header: (_name: string, value: string) => void cookies.push(value) };
  const context = {
    switchToHttp: () => ({ getRequest: () => request, getResponse: () => response }),
  };
  try {
    const guard = new LocalViewerGuard(new DashboardToken(TOKEN));
    expect(guard.canActivate(context as unknown as ExecutionContext)).toBe(true);
    return cookies;
  } catch (error) {
    expect(error).toBeInstanceOf(NotFoundException);
    expect((error as NotFoundException).message).toBe(`Cannot GET ${url}`);
    return undefined;
  }
}

const letsIn = (caller: Caller): boolean => look(caller) !== undefined;

describe('LocalViewerGuard', () => {
  it('sets a cookie that opens the page and its events again without the token', () => {
    const [cookie, ...others] = look({ from: '127.0.0.1' }) ?? [];
    expect(others).toEqual([]);
    expect(cookie).toMatch(/^nestjs-ledger-[0-9a-f]{12}=/);
    expect(cookie).toMatch(/; Path=\/ledger; HttpOnly; SameSite=Lax$/);
    const headers = { cookie: `theme=dark; ${cookie?.split(';')[0]}; other=1` };
    for (const url of ['/ledger', '/ledger/ledger-events?after=a.1']) {
      expect(look({ from: '127.0.0.1', url, headers })).toEqual([]);
    }
  });

  it.each([
    ['/api/ledger/', 'Path=/api/ledger'],
    ['/', 'Path=/'],
    ['/ledger/ledger-events', 'Path=/ledger'],
    ['/a;b', 'Path=/'],
  ])('asked for %s leaves the cookie to %s', (page, path) => {
    const [cookie] = look({ from: '::1', url: `${page}?x=1&ledger-token=${TOKEN}` }) ?? [];
    expect(cookie?.split('; ')[1]).toBe(path);
  });

  it('sets a cookie for encrypted connections only on such a connection', () => {
    expect(look({ from: '127.0.0.1', encrypted: true })?.[0]).toMatch(/; Secure$/);
  });

  it.each([
    '/ledger',
    '/ledger?ledger-token=',
    `/ledger?ledger-token=${TOKEN}x`,
    `/ledger?ledger-token=${TOKEN.slice(1)}`,
    `/ledger?token=${TOKEN}`,
    `/ledger#?ledger-token=${TOKEN}`,
    `/${TOKEN}`,
  ])('answers the machine itself as if there were nothing at %s', (url) => {
    expect(letsIn({ from: '127.0.0.1', url })).toBe(false);
    // Like a plain proxy on the machine, which does not name its client.
    expect(letsIn({ from: '127.0.0.1', url, headers: { host: '127.0.0.1' } })).toBe(false);
  });

  it.each([
    (token: string) => `nestjs-ledger-000000000000=${token}`,
    (token: string) => `${cookieName()}=${token}x`,
    () => `${cookieName()}=`,
    () => cookieName(),
  ])('takes no other cookie, number %#', (cookieOf) => {
    const headers = { cookie: cookieOf(TOKEN) };
    expect(letsIn({ from: '127.0.0.1', url: '/ledger', headers })).toBe(false);
  });

  it.each(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])('lets %s in', (from) => {
    expect(letsIn({ from })).toBe(true);
  });

  it.each(['localhost', 'ledger.localhost:3000', '127.0.0.1:3000', '[::1]:3000', 'LOCALHOST'])(
    'lets in who asks for %s',
    (host) => {
      expect(letsIn({ from: '127.0.0.1', headers: { host } })).toBe(true);
    },
  );

  it('admits nobody in production', () => {
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

function cookieName(): string {
  return look({ from: '127.0.0.1' })?.[0]?.split('=')[0] ?? '';
}

describe('DashboardToken', () => {
  it('is different each time', () => {
    const tokens = Array.from({ length: 100 }, () => new DashboardToken(undefined).value);
    expect(new Set(tokens).size).toBe(100);
    for (const token of tokens) expect(token).toMatch(/^[\w-]{32}$/);
    expect(new DashboardToken('').value).toMatch(/^[\w-]{32}$/);
  });

  it.each(['short', 'x'.repeat(15), 'sixteen letters!', `${'x'.repeat(20)};`, 'x'.repeat(257)])(
    'refuses one that is easy to guess or fits into no cookie, without saying it: %s',
    (given) => {
      let message = '';
      try {
        new DashboardToken(given);
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).toMatch(/^LEDGER_DASHBOARD_TOKEN must have 16 to 256 characters/);
      expect(message).not.toContain(given);
    },
  );
});
