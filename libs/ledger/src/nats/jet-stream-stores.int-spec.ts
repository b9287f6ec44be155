import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { LedgerStream, StoredMessage } from '../ports/ledger-stream.interface.js';
import { describeStreamConformance } from '../sink-kit/stream-conformance.js';
import { KNOWN, message, UNKNOWN } from '../sink-kit/stream-trial.js';
import { jetStream } from './create-jet-stream.js';
import { findNatsPrograms, NatsServers } from './fixtures/nats-servers.fixture.js';

const programs = findNatsPrograms();
const TOPIC = { ledger: 'conformance', fingerprint: KNOWN };
const READER = { ...TOPIC, reads: () => true };
const STORES = ['main', 'archive'];

// Without a program one test reports which is missing.
if (programs.length === 0) it.skip('nats-server is not installed');

describe.each(programs)('several stores on nats-server $version', (program) => {
  let servers: NatsServers;
  let nc: NatsConnection;
  let manager: JetStreamManager;
  let name = '';
  let number = 0;
  const open: LedgerStream[] = [];

  beforeAll(async () => {
    servers = await NatsServers.start(program);
    nc = await connect({ servers: servers.addresses });
    manager = await jetstreamManager(nc);
  });
  afterAll(async () => {
    await nc?.close();
    await servers?.stop();
  });

  const stream = (more: object = {}): LedgerStream => {
    const size = { replicas: 1, maxBytes: 100_000_000, ackWaitMs: 1000 };
    const stores = { retention: 'interest' as const, stores: STORES };
    const made = jetStream({
      ...{ servers: servers.addresses, stream: name, ...size, ...stores },
      ...more,
    });
    open.push(made);
    return made;
  };

  // Servers before 2.10.14 sometimes deliver a finished message once more while another store has
  // not finished it. If a request ends while such a server redelivers a message, it decrements its
  // next sequence number instead of queueing the message again. With one store the finished message
  // is gone from the stream by then. Source: https://github.com/nats-io/nats-server/pull/5305
  const isOdd = (title: string): boolean =>
    program.version.startsWith('2.9.') && title.startsWith('delivers again what nobody was alive');

  describeStreamConformance(
    'JetStream with two stores',
    async () => {
      name = `stores-${number++}`;
      return {
        connect: () => stream({ store: 'main' }),
        block: async () => {
          await servers.signal(0, 'SIGSTOP');
          return () => servers.signal(0, 'SIGCONT');
        },
        dispose: async () => void (await manager.streams.delete(name)),
      };
    },
    {
      runner: {
        describe,
        it: (title, test) => {
          if (!isOdd(title)) it(title, test);
        },
      },
    },
  );

  /** A test with its own stream. */
  const withStores = (title: string, test: () => Promise<void>): void => {
    it(title, async () => {
      name = `stores-${number++}`;
      try {
        await test();
      } finally {
        await Promise.all(open.splice(0).map((each) => each.close()));
        await manager.streams.delete(name).catch(() => undefined);
      }
    });
  };

  async function gateway(more: object = {}): Promise<LedgerStream> {
    const made = stream(more);
    await made.open(TOPIC);
    return made;
  }

  async function writer(store: string, more: object = {}): Promise<LedgerStream> {
    const made = stream({ store, ...more });
    await made.open(READER);
    return made;
  }

  /** Takes and finishes as many messages; returns their contents. */
  async function contents(from: LedgerStream, count: number): Promise<string[]> {
    const seen: string[] = [];
    const { signal } = new AbortController();
    for (let i = 0; i < 10 && seen.length < count; i++) {
      const limits = { messages: count - seen.length, bytes: 1_000_000, waitMs: 3000 };
      for (const taken of await from.take(limits, signal)) {
        seen.push(taken.payload.toString());
        taken.done();
      }
    }
    return seen.sort();
  }

  async function stored(from: LedgerStream): Promise<string[]> {
    const found: StoredMessage[] = [];
    for await (const each of from.browse!()) found.push(each);
    return found.map(({ payload }) => payload.toString()).sort();
  }

  const waiting = async (from: LedgerStream): Promise<number> =>
    (await from.backlog(5000)).messages;

  withStores('get every message, also those published before their writers start', async () => {
    const sender = await gateway();
    await sender.publish(message('one'), 5000);
    // Rows from the journal of an older gateway have another layout.
    await sender.publish(message('two', UNKNOWN), 5000);
    const [main, archive] = [await writer('main'), await writer('archive')];
    expect(await contents(main, 2)).toEqual(['one', 'two']);
    await expect.poll(() => waiting(main)).toBe(0);
    expect(await waiting(archive)).toBe(2);
    expect(await waiting(sender)).toBe(2);
    expect(await stored(main)).toEqual([]);
    expect(await stored(archive)).toEqual(['one', 'two']);
    expect(await contents(archive, 2)).toEqual(['one', 'two']);
    await expect.poll(() => waiting(sender)).toBe(0);
    expect((await manager.streams.info(name)).state.messages).toBe(0);
  });

  withStores('report what waits, its age, and layouts without a writer, each its own', async () => {
    const sender = await gateway();
    const main = await writer('main');
    await sender.publish(message('one'), 5000);
    await sender.publish(message('two'), 5000);
    expect(await contents(main, 1)).toHaveLength(1);
    const archive = stream({ store: 'archive' });
    await archive.open(TOPIC);
    await expect.poll(() => waiting(main)).toBe(1);
    expect((await main.backlog(5000)).unread).toEqual([]);
    const left = await archive.backlog(5000);
    expect(left).toMatchObject({ messages: 2, unread: [{ fingerprint: KNOWN, messages: 2 }] });
    expect(left.bytes).toBe((await sender.backlog(5000)).bytes);
    expect(left.oldestAgeMs).toBeGreaterThan(0);
    expect((await sender.backlog(5000)).unread).toEqual([{ fingerprint: KNOWN, messages: 2 }]);
  });

  withStores('lose nothing when the stream is deleted and made again', async () => {
    const sender = await gateway();
    for (const text of ['a', 'b', 'c']) await sender.publish(message(text), 5000);
    const { config } = await manager.streams.info(name);
    await manager.streams.delete(name);
    await manager.streams.add(config);
    // The gateway has not looked since: the server drops the message, and the gateway sends it again.
    await sender.publish(message('after'), 5000);
    for (const store of STORES) expect(await contents(await writer(store), 1)).toEqual(['after']);
  });

  withStores('lose nothing when the stream is made again while the server restarts', async () => {
    const sender = await gateway();
    await sender.publish(message('a'), 5000);
    await sender.publish(message('b'), 5000);
    const { config } = await manager.streams.info(name);
    await servers.signal(0, 'SIGKILL');
    await servers.restart(0);
    const remove = () => manager.streams.delete(name).catch(() => false);
    await expect.poll(remove, { timeout: 15_000 }).toBe(true);
    await manager.streams.add(config);
    const other = message('c');
    await expect
      .poll(
        () =>
          sender.publish(other, 5000).then(
            () => 'sent',
            () => 'again',
          ),
        { timeout: 15_000 },
      )
      .toBe('sent');
    for (const store of STORES) expect(await contents(await writer(store), 1)).toEqual(['c']);
  });

  withStores('get their deleted consumers back at the next look of a gateway', async () => {
    const sender = await gateway();
    await manager.consumers.delete(name, `archive-${KNOWN}`);
    await sender.backlog(5000);
    await sender.publish(message('one'), 5000);
    expect(await contents(await writer('archive'), 1)).toEqual(['one']);
  });

  withStores('include one that only a newer gateway names, in all gateways', async () => {
    const older = await gateway({ stores: ['main'] });
    await older.publish(message('before'), 5000);
    await expect(writer('archive')).rejects.toThrow(
      `keeps entries for the stores main and not for archive: add archive to the option stores`,
    );
    await gateway();
    await older.backlog(5000);
    await older.publish(message('after', UNKNOWN), 5000);
    expect(await contents(await writer('archive'), 2)).toEqual(['after', 'before']);
  });

  withStores('are refused on a stream with the other retention, with the remedy', async () => {
    await gateway();
    const plain = { servers: servers.addresses, stream: name, replicas: 1 };
    const one = jetStream(plain);
    open.push(one);
    await expect(one.open(TOPIC)).rejects.toThrow(
      `has the retention interest, and this process asks for workqueue: set retention: 'interest'`,
    );
    await manager.streams.delete(name);
    await one.open(TOPIC);
    await expect(gateway()).rejects.toThrow(
      'has the retention workqueue, and this process asks for interest',
    );
  });

  withStores('need a name for a writer, and for reading what waits', async () => {
    await expect(stream().open(READER)).rejects.toThrow('must name the store of a writer');
    await expect(stored(await gateway())).rejects.toThrow('add store=<name> to its address');
  });

  withStores('are not made by a command, which only looks', async () => {
    await gateway({ stores: ['main'] });
    await gateway({ store: 'archive', create: false });
    const names: string[] = [];
    for await (const info of manager.consumers.list(name)) names.push(info.name);
    expect(names).toEqual([`main-${KNOWN}`]);
  });

  withStores('are served again by a stream object that was closed', async () => {
    const sender = await gateway();
    await sender.close();
    await expect(sender.publish(message('closed'), 1000)).rejects.toThrow('not open');
    await sender.open(TOPIC);
    await sender.publish(message('again'), 5000);
    expect(await contents(await writer('main'), 1)).toEqual(['again']);
  });
});

describe('the stores of jetStream', () => {
  const servers = 'nats://localhost';
  it.each([
    [{ retention: 'limits' }, "retention }) must be 'workqueue' or 'interest'"],
    [{ retention: 'interest' }, 'stores }) must name all stores'],
    [{ retention: 'interest', stores: [] }, 'stores }) must name all stores'],
    [{ retention: 'interest', stores: ['a-b'] }, 'letters, digits or _'],
    [{ retention: 'interest', stores: ['a'], store: 'b' }, 'store }) must be one of stores'],
    [{ stores: ['a'] }, "stores }) needs retention: 'interest'"],
    [{ store: 'a' }, "store }) needs retention: 'interest'"],
  ])('are checked: %o', (options, rule) => {
    expect(() => jetStream({ servers, ...options } as never)).toThrow(rule);
  });
});
