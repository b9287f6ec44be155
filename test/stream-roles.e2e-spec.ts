import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  defineLedger,
  getLedgerToken,
  LedgerModule,
  type LedgerOptions,
  type LedgerService,
} from 'nestjs-ledger';
import { jetStream } from 'nestjs-ledger/nats';
import { definitionOptions } from '../libs/ledger/src/cli/fixtures/definition-options.fixture.js';
import {
  findNatsPrograms,
  NatsServers,
} from '../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { assertConservation } from '../libs/ledger/src/testing/ledger-under-test.js';
import { FaultDatabase } from './faults/support/fault-database.js';
import { LedgerCommand, type EndedCommand } from './faults/support/ledger-command.js';
import { buildIfStale } from './support/example-app.js';
import { codeBlocks } from './support/markdown.js';
import { readPage } from './support/pages.js';
import { StreamRights, type StreamUser } from './support/stream-rights.js';

const BUILD_LIMIT_MS = 240_000;
const SOON = { timeout: 20_000 };
const usage = defineLedger({ name: 'usage' });
const options = definitionOptions(usage);
/** The oldest that is there. */
const program = findNatsPrograms().at(-1);

let rights: StreamRights;
let database: FaultDatabase;
let folder: string;
let servers: NatsServers;
let modules: TestingModule[] = [];
/** Of both roles: Nest has one logger for all applications of a process. */
let lines: string[] = [];

/** The privileges that `docs/stream.md` names: those of `docs/configure.md`, without a journal's. */
async function privileges(): Promise<string> {
  const blocks = codeBlocks(await readPage('docs/configure.md'));
  const { code } = blocks.find((block) => block.code.includes('GRANT INSERT'))!;
  const lines = code.split('\n').filter((line) => !line.includes('with a journal'));
  expect(lines.join('\n')).not.toBe(code);
  return lines.join('\n');
}

describe.skipIf(program === undefined)('roles with few rights (needs nats-server)', () => {
  beforeAll(async () => {
    await buildIfStale();
    rights = await StreamRights.read();
    folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-roles-'));
    database = await FaultDatabase.start();
    expect(await command('migrate')).toMatchObject({ code: 0 });
    await database.sql(`CREATE ROLE ledger_writer LOGIN PASSWORD 'w'; ${await privileges()}`);
  }, BUILD_LIMIT_MS);
  beforeEach(async () => {
    await database.sql('TRUNCATE usage_entries');
    servers = await NatsServers.start(program!, 1, rights.forOneStore);
  });
  afterEach(async () => {
    await Promise.all(modules.map((module) => module.close()));
    modules = [];
    lines = [];
    await servers.stop();
  });
  afterAll(async () => {
    await database?.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  function command(...args: string[]): Promise<EndedCommand> {
    return new LedgerCommand(folder, database.url).run(...args, ...options);
  }

  interface Process {
    readonly ledger: LedgerService<typeof usage>;
    close(): Promise<void>;
  }

  async function boot(user: StreamUser, more: LedgerOptions): Promise<Process> {
    const connection = { user, pass: user };
    const size = { replicas: 1, maxBytes: 100_000_000, ackWaitMs: 2000 };
    const stream = jetStream({
      ...{ servers: servers.addresses, connection, create: user === 'gateway' },
      ...size,
    });
    const common = { retryMinMs: 50, retryMaxMs: 500, spillDir: folder, flushMs: 1 };
    const module = await Test.createTestingModule({
      imports: [LedgerModule.forRoot({ ledger: usage, stream, ...common, ...more })],
    }).compile();
    modules.push(module);
    const keep = (line: unknown): void => void lines.push(String(line));
    module.useLogger({ log: keep, warn: keep, error: keep });
    await module.init();
    const ledger = module.get<LedgerService<typeof usage>>(getLedgerToken(usage));
    return { ledger, close: () => module.close() };
  }

  const gateway = (): Promise<Process> => boot('gateway', { role: 'gateway' });

  function writer(): Promise<Process> {
    const url = new URL(database.url);
    url.username = 'ledger_writer';
    url.password = 'w';
    const connection = { url: url.href };
    return boot('writer', { role: 'writer', connection, migrations: 'verify' });
  }

  async function users(): Promise<number[]> {
    const rows = await database.sql<{ user_id: string }>(
      'SELECT user_id FROM usage_entries ORDER BY user_id::int',
    );
    return rows.map(({ user_id: id }) => Number(id));
  }

  const address = (): string =>
    `nats://reader:reader@${new URL(servers.addresses[0]!).host}?replicas=1`;

  /** Ends both, and finds each entry once. */
  async function endsWhole(sender: Process, taker: Process, entries: number): Promise<void> {
    const all = Array.from({ length: entries }, (_, i) => 1 + i);
    await expect.poll(users, SOON).toEqual(all);
    const stream = ['--stream', address()];
    await expect
      .poll(() => command('verify', '--grace', '0', ...stream), SOON)
      .toEqual({
        code: 0,
        text: expect.stringMatching(
          `queued ${entries}, in the table ${entries}, dead-lettered 0, spilled 0, missing 0`,
        ) as string,
      });
    for (const { ledger, close } of [sender, taker]) {
      await close();
      const stats = ledger.stats();
      assertConservation(stats);
      expect(stats).toMatchObject({ inFlight: 0, depth: 0, spilled: 0, deadLettered: 0 });
    }
    expect(sender.ledger.stats()).toMatchObject({ published: entries });
    expect(taker.ledger.stats()).toMatchObject({ written: entries });
  }

  it('bring entries into the table; commands may read what waits', async () => {
    const sender = await gateway();
    for (let i = 1; i <= 3; i++) await sender.ledger.recordAndWait({ userId: i });
    const { code, text } = await command('verify', '--grace', '0', '--stream', address());
    expect(text).toContain('queued 3, in the table 0, dead-lettered 0, spilled 0, in the stream 3');
    expect(code).toBe(0);
    const doctor = await command('doctor', '--stream', address());
    expect(doctor.text).toMatch(/^ok +waiting messages: 3 |by layout \w+: 3/m);
    expect(doctor.text).not.toMatch(/^FAULT +(stream|waiting)/m);
    const taker = await writer();
    await endsWhole(sender, taker, 3);
    expect(lines.join('\n')).not.toContain('may not');
  });

  it('halt a gateway that may not publish, until it may again', async () => {
    const [sender, taker] = [await gateway(), await writer()];
    await sender.ledger.recordAndWait({ userId: 1 });
    const right = { user: 'gateway', subject: 'ledger.usage.*' } as const;
    await servers.reload(rights.without(rights.forOneStore, right));
    // Until the server has read it, entries are published.
    let recorded = 1;
    const isHalted = (): boolean => {
      if (sender.ledger.stats().state === 'halted') return true;
      expect(sender.ledger.record({ userId: ++recorded })).toBe('queued');
      return false;
    };
    await expect.poll(isHalted, SOON).toBe(true);
    const remedy = "add it to the user's permissions on the servers";
    const text = `halted: the user may not publish to ledger\\.usage\\.\\w{16}: ${remedy}; entries are kept`;
    await expect.poll(() => lines.join('\n'), SOON).toMatch(new RegExp(text));
    for (let i = 0; i < 3; i++) sender.ledger.record({ userId: ++recorded });
    await servers.reload(rights.forOneStore);
    await endsWhole(sender, taker, recorded);
  });

  it.each([
    ['$JS.ACK.ledger-usage.>', String.raw`\$JS\.ACK\.ledger-usage\.>`],
    [
      '$JS.API.CONSUMER.MSG.NEXT.ledger-usage.*',
      String.raw`\$JS\.API\.CONSUMER\.MSG\.NEXT\.ledger-usage\.\w{16}`,
    ],
  ])('make a writer say once that it lacks %s, until it has it again', async (subject, named) => {
    const [sender, taker] = [await gateway(), await writer()];
    await sender.ledger.recordAndWait({ userId: 1 });
    await expect.poll(users, SOON).toEqual([1]);
    await servers.reload(rights.without(rights.forOneStore, { user: 'writer', subject }));
    const said = new RegExp(
      `taking from the stream fails: the user may not publish to ${named}: add it`,
    );
    const times = (): number => lines.filter((line) => said.test(line)).length;
    let recorded = 1;
    const isSaid = async (): Promise<boolean> => {
      if (times() === 0) await sender.ledger.recordAndWait({ userId: ++recorded });
      return times() > 0;
    };
    await expect.poll(isSaid, SOON).toBe(true);
    await sender.ledger.recordAndWait({ userId: ++recorded });
    // Several attempts, and a redelivery.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(times()).toBe(1);
    await servers.reload(rights.forOneStore);
    await endsWhole(sender, taker, recorded);
    expect(lines.join('\n')).toContain('taking from the stream again');
  });
});
