import { randomUUID } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { isLedgerError } from 'nestjs-ledger';
import { jetStream, type LedgerStream } from 'nestjs-ledger/nats';
import {
  findNatsPrograms,
  NatsServers,
} from '../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { KNOWN, message, UNKNOWN } from '../libs/ledger/src/sink-kit/stream-trial.js';
import { StreamRights, type StreamUser } from './support/stream-rights.js';

const programs = findNatsPrograms();
const TOPIC = { ledger: 'usage', fingerprint: KNOWN };
const LIMITS = { messages: 10, bytes: 1_000_000, waitMs: 500 };
const STORES = { retention: 'interest', stores: ['main'], store: 'main' } as const;
const { signal } = new AbortController();

let rights: StreamRights;
let servers: NatsServers | undefined;
const open: LedgerStream[] = [];

beforeAll(async () => void (rights = await StreamRights.read()));
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
  await servers?.stop();
  servers = undefined;
});

function connect(user: StreamUser, more: object = {}): LedgerStream {
  const stream = jetStream({
    ...{ servers: servers!.addresses, replicas: 1, maxBytes: 100_000_000, ackWaitMs: 5000 },
    ...{ connection: { user, pass: user }, create: user === 'gateway' },
    ...more,
  });
  open.push(stream);
  return stream;
}

/** All that a process of a role does with its stream. */
const WORK: Record<StreamUser, (stream: LedgerStream) => Promise<void>> = {
  gateway: async (stream) => {
    await stream.open(TOPIC);
    await stream.publish(message('one'), 5000);
    // Rows that are replayed from the journal of another version.
    await stream.publish(message('two', UNKNOWN), 5000);
    await stream.ping(5000);
    await stream.backlog(5000);
  },
  writer: async (stream) => {
    await stream.open({ ...TOPIC, reads: () => true });
    const seen: string[] = [];
    for (let i = 0; i < 4; i++) {
      for (const taken of await stream.take(LIMITS, signal)) {
        seen.push(taken.payload.toString());
        taken.alive();
        taken.done();
      }
    }
    expect(seen.sort()).toEqual(['one', 'two']);
    expect(await stream.backlog(5000)).toMatchObject({ messages: 0 });
  },
  reader: async (stream) => {
    await stream.open(TOPIC);
    const found: string[] = [];
    for await (const { payload } of stream.browse!()) found.push(payload.toString());
    expect(found.sort()).toEqual(['one', 'two']);
    await stream.safety!(5000);
    expect(await stream.backlog(5000)).toMatchObject({ messages: 2 });
  },
};

const ALL = ['gateway', 'reader', 'writer'] as const;

/** Does the work of these roles in order, until one of them lacks a right. */
async function workOf(
  users: readonly StreamUser[],
  more: object = {},
): Promise<{ user: StreamUser; error: unknown } | undefined> {
  for (const user of users) {
    // A gateway makes the consumers of all stores, and is none of them.
    const own = user === 'gateway' ? { ...more, store: undefined } : more;
    try {
      await WORK[user](connect(user, own));
    } catch (error) {
      return { user, error };
    }
  }
  return undefined;
}

// Without a program one test reports which is missing.
if (programs.length === 0) it.skip('nats-server is not installed');

describe.each(programs)('the permissions of docs/stream.md, nats-server $version', (program) => {
  // Server 2.9 changes a consumer that is made again, so a writer need not look at it.
  const isOld = program.version.startsWith('2.9.');

  it('are enough for one store, and for several', async () => {
    servers = await NatsServers.start(program, 1, rights.forOneStore);
    expect(await workOf(ALL)).toBeUndefined();
    await servers.stop();
    servers = await NatsServers.start(program, 1, rights.text);
    expect(await workOf(ALL, STORES)).toBeUndefined();
  });

  it('are each needed: without it, the error names it and says what to do', async () => {
    for (const [options, text] of [
      [{}, rights.forOneStore],
      [STORES, rights.text],
    ] as const) {
      for (const { user, subject } of rights.in(text)) {
        if (user === 'writer' && subject.includes('CONSUMER.INFO') && isOld) continue;
        servers = await NatsServers.start(program, 1, rights.without(text, { user, subject }));
        const failed = await workOf(ALL.slice(0, ALL.indexOf(user) + 1), options);
        const where = `${user} without ${subject}`;
        expect(failed?.user, where).toBe(user);
        expect(isLedgerError(failed?.error, 'SINK_HALT'), where).toBe(true);
        const verb = subject.startsWith('_INBOX') ? 'subscribe' : 'publish';
        const named = rights.patternOf(subject);
        const said = (failed!.error as Error).message;
        expect(said).toMatch(
          new RegExp(`^the user may not ${verb} to ${named}: add it to the user's permissions`),
        );
        await Promise.all(open.splice(0).map((each) => each.close()));
        await servers.stop();
      }
    }
  }, 240_000);

  it('can separate the replies to users', async () => {
    const prefix = `_INBOX_${randomUUID().slice(0, 8)}`;
    servers = await NatsServers.start(program, 1, rights.forOneStore.replaceAll('_INBOX', prefix));
    for (const user of ALL) {
      const connection = { user, pass: user, inboxPrefix: prefix };
      await WORK[user](connect(user, { connection }));
    }
  });
});

const current = programs.at(0);
const flagged = current?.version.startsWith('2.15.') === true ? current : undefined;

it.skipIf(flagged === undefined)(
  'the subject of acknowledgements with a feature flag is the one of docs/stream.md (needs nats-server 2.15)',
  async () => {
    const flag = 'feature_flags { js_ack_fc_v2: true }\n';
    servers = await NatsServers.start(flagged!, 1, flag + rights.forOneStore);
    expect((await workOf(ALL))?.error).toMatchObject({
      message: expect.stringMatching(/publish to \$JS\.ACK\._\.\w+\.ledger-usage\.>/) as string,
    });
    await Promise.all(open.splice(0).map((each) => each.close()));
    await servers.stop();
    const longer = rights.forOneStore.replace('"$JS.ACK.', () => '"$JS.ACK.*.*.');
    servers = await NatsServers.start(flagged!, 1, flag + longer);
    expect(await workOf(ALL)).toBeUndefined();
  },
);
