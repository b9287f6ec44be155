import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jetstream, jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { KNOWN, message } from '../sink-kit/stream-trial.js';
import { jetStream } from './create-jet-stream.js';
import { findNatsPrograms, NatsServers } from './fixtures/nats-servers.fixture.js';
import { refusalIn } from './nats-refusals.js';

const programs = findNatsPrograms();
const TOPIC = { ledger: 'conformance', fingerprint: KNOWN };
const STORES = ['main', 'archive'];

/** @param rights subjects that a gateway may publish to; a person may do everything */
const users = (rights: string): string => `authorization { users: [
  { user: person, password: p }
  { user: gateway, password: p, permissions: { publish: { allow: [${rights}] } } }
] }`;
const ALL = users('">"');
const MESSAGES = users('"ledger.>"');

// Without a program one test reports which is missing.
if (programs.length === 0) it.skip('nats-server is not installed');

describe.each(programs)(
  'stores of a stream that is made again, nats-server $version',
  (program) => {
    let servers: NatsServers;
    let nc: NatsConnection;
    let manager: JetStreamManager;
    let name = '';
    let number = 0;
    const open: LedgerStream[] = [];

    beforeAll(async () => {
      servers = await NatsServers.start(program, 1, ALL);
      nc = await connect({ servers: servers.addresses, user: 'person', pass: 'p' });
      manager = await jetstreamManager(nc);
    });
    afterAll(async () => {
      await nc?.close();
      await servers?.stop();
    });
    beforeEach(() => void (name = `remade-${number++}`));
    afterEach(async () => {
      await Promise.all(open.splice(0).map((each) => each.close()));
      await manager.streams.delete(name).catch(() => undefined);
    });

    function stream(user: string, more: object = {}): LedgerStream {
      const made = jetStream({
        ...{ servers: servers.addresses, stream: name, replicas: 1, maxBytes: 100_000_000 },
        ...{ retention: 'interest', stores: STORES, connection: { user, pass: 'p' } },
        ...more,
      });
      open.push(made);
      return made;
    }

    async function gateway(): Promise<LedgerStream> {
      const made = stream('gateway');
      await made.open(TOPIC);
      return made;
    }

    /** As a person does it, who makes no consumers. */
    async function makeAgain(): Promise<void> {
      const { config } = await manager.streams.info(name);
      await manager.streams.delete(name);
      await manager.streams.add(config);
    }

    /** What a store is given, as its writer sees it. */
    async function given(store: string, count: number): Promise<string[]> {
      const writer = stream('person', { store });
      await writer.open({ ...TOPIC, reads: () => true });
      const seen: string[] = [];
      const { signal } = new AbortController();
      for (let i = 0; i < 3 && seen.length < count; i++) {
        const limits = { messages: count - seen.length, bytes: 1_000_000, waitMs: 3000 };
        for (const taken of await writer.take(limits, signal)) {
          seen.push(taken.payload.toString());
          taken.done();
        }
      }
      return seen.sort();
    }

    /** Until a new permission is in force. */
    async function permit(config: string): Promise<void> {
      // First: while a server reads its configuration, it refuses new connections.
      const probe = await connect({ servers: servers.addresses, user: 'gateway', pass: 'p' });
      await servers.reload(config);
      const answer = (): Promise<string> =>
        probe.request(`$JS.API.STREAM.INFO.${name}`).then(
          () => 'permitted',
          // A server that is late permits nothing, but refuses nothing either.
          (error: unknown) => (refusalIn(error) ? 'refused' : String(error)),
        );
      await expect.poll(answer).toBe(config === ALL ? 'permitted' : 'refused');
      await probe.close();
    }

    it('get the message of a gateway that was killed before it published it again', async () => {
      const killed = await gateway();
      await killed.publish(message('before'), 5000);
      await makeAgain();
      await permit(MESSAGES);
      const lost = message('lost');
      // The stream acknowledged and dropped it; the gateway can't find out that it must publish it again.
      await expect(killed.publish(lost, 5000)).rejects.toThrow('$JS.API.');
      const { state } = await manager.streams.info(name);
      expect(state).toMatchObject({ messages: 0, last_seq: 1 });
      await killed.close();
      await permit(ALL);
      // The next run publishes the rows of the journal.
      await (await gateway()).publish(lost, 5000);
      for (const store of STORES) expect(await given(store, 1)).toEqual(['lost']);
    });

    it('get the first message of a gateway that others were ahead of', async () => {
      const late = await gateway();
      await late.publish(message('before'), 5000);
      await makeAgain();
      const client = jetstream(nc);
      for (let i = 0; i < 5; i++) await client.publish(`ledger.conformance.${KNOWN}`, 'dropped');
      await late.publish(message('after'), 5000);
      for (const store of STORES) expect(await given(store, 1)).toEqual(['after']);
    });

    it('get all messages that were on their way at once', async () => {
      const sender = await gateway();
      await sender.publish(message('before'), 5000);
      await makeAgain();
      const texts = Array.from({ length: 50 }, (_, i) => String(100 + i));
      await Promise.all(texts.map((text) => sender.publish(message(text), 5000)));
      for (const store of STORES) expect(await given(store, 50)).toEqual(texts);
    });
  },
);
