import { Injectable, Module, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { defaultLedger, defineLedger, LedgerModule, LedgerService } from 'nestjs-ledger';
import { LedgerDashboardModule } from 'nestjs-ledger/dashboard';
import { LedgerTestingModule } from 'nestjs-ledger/testing';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import type { Finding } from '../libs/ledger/src/advice/finding.interface.js';
import { runProgram } from '../libs/ledger/src/cli/program.js';
import { buildIfStale } from './support/example-app.js';
import { OwnSchema } from '../libs/ledger/src/postgres/fixtures/own-schema.fixture.js';

/** The least that says something, and a moment for a busy machine. */
const SECONDS = '8';
const TOKEN = 'of-the-tests-of-advise';
const SECRET = 'Bearer open-sesame';
const WORKERS = 12;

@Injectable()
class KeyGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    return request.headers['authorization'] === SECRET;
  }
}

@Module({
  imports: [
    LedgerTestingModule.forRoot({ ledgers: [defaultLedger, defineLedger({ name: 'audit' })] }),
    LedgerDashboardModule.forRoot({ path: '/ledger', guards: [KeyGuard] }),
  ],
})
class GuardedModule {}

let app: INestApplication | undefined;
let said: string[];
const output = {
  line: (text: string) => void said.push(text),
  warn: (text: string) => void said.push(text),
  progress: () => ({ at: () => undefined, end: () => undefined }),
};

beforeAll(() => buildIfStale(), 240_000);
beforeEach(() => {
  said = [];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  (app?.getHttpServer() as Server | undefined)?.closeAllConnections();
  await app?.close();
  app = undefined;
});

async function serve(
  imports: NonNullable<Parameters<typeof Test.createTestingModule>[0]['imports']>,
) {
  const testing = await Test.createTestingModule({ imports }).compile();
  app = testing.createNestApplication(new FastifyAdapter());
  await app.listen(0, '127.0.0.1');
  return app.getUrl();
}

const advise = (...args: string[]): Promise<number> => runProgram(['advise', ...args], output);

interface Report {
  readonly ledger: string;
  readonly state: string;
  readonly queuedPerSecond: number;
  readonly advice: readonly Finding[];
}

describe('npx nestjs-ledger advise', () => {
  it('says what the dashboard says, with what is known of machine and server', async () => {
    const schema = await OwnSchema.create(inject('databaseUrl'));
    try {
      const options = { numWorkers: WORKERS, bufferSize: 20, batchSize: 10, flushMs: 100 };
      const connection = { type: 'postgres', url: schema.url } as const;
      vi.stubEnv('LEDGER_DASHBOARD_TOKEN', TOKEN);
      const url = await serve([
        LedgerModule.forRoot({ ...options, connection }),
        LedgerDashboardModule.forRoot({ path: '/' }),
      ]);
      const ledger = app!.get(LedgerService);
      const load = setInterval(() => {
        for (let entry = 0; entry < 100; entry++) ledger.record({ userId: 1 });
      }, 50);
      try {
        const texts: string[] = [];
        const asJson = { ...output, line: (text: string) => void texts.push(text) };
        // The application of this folder has the same environment; another has the link alone.
        expect(await advise(`${url}/?ledger-token=${TOKEN}x`)).toBe(2);
        expect(said.splice(0)[0]).toContain(
          'Without guards it answers only on its own machine, and only to',
        );
        const ways = [
          advise(url, '--seconds', SECONDS),
          runProgram(
            ['advise', `${url}/?ledger-token=${TOKEN}`, '--seconds', SECONDS, '--json'],
            asJson,
          ),
        ];
        expect(await Promise.all(ways)).toEqual([1, 1]);
        const report = JSON.parse(texts.join('\n')) as Report;
        expect(report).toMatchObject({ ledger: 'default', state: 'running' });
        expect(report.queuedPerSecond).toBeGreaterThan(0);
        const [dropped] = report.advice;
        expect(dropped).toMatchObject({ rule: 'entries-dropped', severity: 'warning' });
        const text = said.join('\n');
        expect(text).toMatch(/^default: running, \w+; [\d,]+ entries\/s in, [\d,]+ settled\n/);
        expect(text).toMatch(/^warning buffer: [\d,]+ entries were dropped/m);
        expect(text).toMatch(/^ {10}-> raise bufferSize from 20 to [\d,]+/m);
        const workers = report.advice.find(({ rule }) => rule === 'workers-above-limit');
        const limit = await schema.query("SELECT current_setting('max_connections')::int AS most");
        expect(workers?.evidence).toContainEqual({
          name: 'max_connections',
          value: limit[0]!['most'],
          unit: '',
        });
      } finally {
        clearInterval(load);
      }
      await app!.close();
    } finally {
      await schema.drop();
    }
  });

  it('has nothing to say of a ledger that is idle, and shows guards what they ask for', async () => {
    const url = `${await serve([GuardedModule])}/ledger`;
    const key = ['--header', `authorization: ${SECRET}`];
    expect(await advise(url, '--ledger', 'audit', '--seconds', SECONDS, ...key)).toBe(0);
    expect(said).toEqual(['audit: running, up; 0 entries/s in, 0 settled', 'nothing to change']);
    said = [];
    expect(await advise(url)).toBe(2);
    expect(await advise(url, '--ledger', 'other', ...key)).toBe(2);
    expect(await advise(url.replace('/ledger', ''), ...key)).toBe(2);
    expect(
      said.map((line) => /^error: no dashboard answers there \((\d+)\)/.exec(line)?.[1]),
    ).toEqual(['403', '404', '404']);
  });

  it.each([
    [
      'whose database is down',
      { connection: { url: 'postgres://nobody@127.0.0.1:1/x' }, spillDir: '.tmp/advise-spill' },
      /^FAULT {3}the database is down: .*lost from then on$/m,
    ],
    [
      'that the server refuses',
      { migrations: 'off', spillDir: '.tmp/advise-spill' },
      /^FAULT {3}the server refuses every batch: .*lost from then on$/m,
    ],
  ] as const)('calls a ledger %s a fault, idle or not', async (_what, given, fault) => {
    vi.stubEnv('LEDGER_DASHBOARD_TOKEN', TOKEN);
    const schema = await OwnSchema.create(inject('databaseUrl'));
    try {
      const connection = { type: 'postgres', url: schema.url } as const;
      const url = await serve([
        LedgerModule.forRoot({
          ...{ numWorkers: WORKERS, flushMs: 20, shutdownTimeoutMs: 200, connection },
          ...given,
        }),
        LedgerDashboardModule.forRoot({ path: '/' }),
      ]);
      app!.get(LedgerService).record({ userId: 1 });
      expect(await advise(url, '--seconds', SECONDS)).toBe(1);
      const text = said.join('\n');
      expect(text).toMatch(fault);
      expect(text).not.toContain('nothing to change');
      expect(text).not.toContain('numWorkers');
    } finally {
      await app!.close();
      app = undefined;
      await schema.drop();
    }
  });

  it('ends with 2, without an address in its words, where nobody answers', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    expect(await advise(`http://me:s3cret@127.0.0.1:${port}/`)).toBe(2);
    expect(await advise('not an address')).toBe(2);
    expect(await advise('--seconds', '5')).toBe(2);
    const text = said.join('\n');
    expect(text).toMatch(/^error: the dashboard can't be reached: ECONNREFUSED/);
    expect(text).not.toContain('s3cret');
  });
});
