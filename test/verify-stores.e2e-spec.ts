import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

const BUILD_LIMIT_MS = 240_000;
const SOON = { timeout: 20_000 };
const ENTRIES = 5;
const STORES = ['main', 'archive'] as const;
type Store = (typeof STORES)[number];
/** The oldest that is there. */
const program = findNatsPrograms().at(-1);

/** Each store has a schema of its name. */
const tableOf = (schema: string) => defineLedger({ name: 'usage', schema });

let database: FaultDatabase;
let servers: NatsServers;
let folder: string;
const modules: TestingModule[] = [];

describe.skipIf(program === undefined)('verify and several stores (needs nats-server)', () => {
  beforeAll(async () => {
    await buildIfStale();
    folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-stores-'));
    database = await FaultDatabase.start();
    servers = await NatsServers.start(program!);
  }, BUILD_LIMIT_MS);
  afterAll(async () => {
    await Promise.all(modules.map((module) => module.close()));
    await servers?.stop();
    await database?.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  function command(schema: string, ...args: string[]): Promise<EndedCommand> {
    const all = [...args, ...definitionOptions(tableOf(schema))];
    return new LedgerCommand(folder, database.url).run(...all);
  }

  function address(query: string): string {
    return `nats://${new URL(servers.addresses[0]!).host}?${query}`;
  }

  function verify(
    store: Store,
    query = `retention=interest&stores=main,archive&store=${store}`,
  ): Promise<EndedCommand> {
    return command(store, 'verify', '--grace', '0', '--stream', address(query));
  }

  async function boot(schema: string, store: Store | undefined, options: LedgerOptions) {
    const ledger = tableOf(schema);
    const stream = jetStream({
      ...{ servers: servers.addresses, replicas: 1, maxBytes: 100_000_000 },
      ...{ retention: 'interest', stores: STORES, ...(store && { store }) },
    });
    const module = await Test.createTestingModule({
      imports: [LedgerModule.forRoot({ ledger, stream, spillDir: folder, flushMs: 1, ...options })],
    }).compile();
    modules.push(module);
    module.useLogger(false);
    await module.init();
    return module.get<LedgerService<typeof ledger>>(getLedgerToken(ledger));
  }

  const writerOf = (store: Store) =>
    boot(store, store, { role: 'writer', connection: { url: database.url } });

  /** The line of the only run, and the sum. */
  const counts = (table: number, stream: number, missing = '0'): RegExp => {
    const waiting = stream === 0 ? '' : `in the stream ${stream}, `;
    const said = `in the table ${table}, dead-lettered 0, spilled 0, ${waiting}missing ${missing}`;
    return new RegExp(`queued ${ENTRIES}, ${said}$`, 'm');
  };

  const healthy = { code: 0, text: expect.stringMatching(counts(ENTRIES, 0)) as string };

  it('counts the waiting messages of the store, and the rows of its table, each by itself', async () => {
    for (const store of STORES) expect(await command(store, 'migrate')).toMatchObject({ code: 0 });
    const gateway = await boot('main', undefined, { role: 'gateway' });
    for (let i = 1; i <= ENTRIES; i++) await gateway.recordAndWait({ userId: i });
    const unread = { code: 0, text: expect.stringMatching(counts(0, ENTRIES)) as string };
    for (const store of STORES) expect(await verify(store)).toEqual(unread);

    const main = await writerOf('main');
    await expect.poll(() => verify('main'), SOON).toEqual(healthy);
    // Nobody has read it yet.
    expect(await verify('archive')).toEqual(unread);

    const archive = await writerOf('archive');
    await expect.poll(() => verify('archive'), SOON).toEqual(healthy);
    expect(await verify('main')).toEqual(healthy);

    // Deleted in one store, as by a mistake, while the other is whole.
    await database.sql('DELETE FROM archive.usage_entries WHERE user_id = 3');
    const { code, text } = await verify('archive');
    expect(text).toMatch(counts(ENTRIES - 1, 0, '1: 2'));
    expect(text).toContain('1 run: 4 in the table, 0 dead-lettered, 0 spilled, 1 missing');
    expect(code).toBe(1);
    expect(await verify('main')).toEqual(healthy);

    await Promise.all(modules.splice(0).map((module) => module.close()));
    for (const ledger of [gateway, main, archive]) {
      assertConservation(ledger.stats());
      expect(ledger.stats()).toMatchObject({ inFlight: 0, spilled: 0, deadLettered: 0 });
    }
  });

  it('refuses an address that is not one of a store of the stream, and says what it needs', async () => {
    for (const [query, rule] of [
      ['retention=interest&stores=main,archive', 'add store=<name> to its address'],
      ['retention=interest&stores=main,archive&store=other', 'store }) must be one of stores'],
      ['retention=interest&store=main', 'stores }) must name all stores'],
      ['store=main', "needs retention: 'interest'"],
      [
        '',
        "has the retention interest, and this process asks for workqueue: set retention: 'interest'",
      ],
      [
        // A misspelled store would get the messages of all others.
        'retention=interest&stores=main,archiv&store=archiv',
        'keeps entries for the stores archive, main and not for archiv',
      ],
    ] as const) {
      const { code, text } = await verify('archive', query);
      expect(text, query).toContain(rule);
      expect(code, query).toBe(2);
    }
    const misspelled = address('retention=interest&stores=main,archiv&store=archiv');
    const doctor = await command('archive', 'doctor', '--stream', misspelled);
    expect(doctor.text).toContain('keeps entries for the stores archive, main and not for archiv');
    expect(doctor.code).toBe(1);
  });
});
