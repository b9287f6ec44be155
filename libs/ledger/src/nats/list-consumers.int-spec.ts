import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { KNOWN, message, UNKNOWN } from '../sink-kit/stream-trial.js';
import { jetStream } from './create-jet-stream.js';
import { findNatsPrograms, NatsServers } from './fixtures/nats-servers.fixture.js';
import { listConsumers } from './list-consumers.js';

/** The newest one: all list consumers in the same way. */
const programs = findNatsPrograms().slice(0, 1);
const STREAM = 'ledger-conformance';
const TOPIC = { ledger: 'conformance', fingerprint: KNOWN };
/** The servers' own account shows which of them leads the cluster. */
const ACCOUNTS = `accounts {
  $SYS: { users: [{ user: system, password: p }] }
  A: { jetstream: enabled, users: [{ user: u, password: p }] }
}
no_auth_user: u`;
/** Elections take up to nine seconds. */
const ELECTED = { timeout: 40_000, interval: 200 };

// Without a program one test reports which is missing.
if (programs.length === 0) it.skip('nats-server is not installed');

describe.each(programs)(
  'a consumer whose leader has just died, nats-server $version',
  (program) => {
    const open: LedgerStream[] = [];
    afterEach(async () => {
      await Promise.all(open.splice(0).map((each) => each.close()));
    });

    /** A cluster whose server 2 leads one consumer, and nothing else. */
    class Cluster {
      private constructor(
        readonly servers: NatsServers,
        readonly nc: NatsConnection,
        readonly manager: JetStreamManager,
      ) {}

      static async start(): Promise<Cluster> {
        const servers = await NatsServers.start(program, 3, ACCOUNTS);
        onTestFinished(() => servers.stop());
        const nc = await connect({ servers: servers.addresses.slice(0, 1), timeout: 10_000 });
        onTestFinished(() => nc.close());
        return new Cluster(servers, nc, await jetstreamManager(nc, { checkAPI: false }));
      }

      stream(more: object = {}): LedgerStream {
        const servers = this.servers.addresses.slice(0, 2);
        const made = jetStream({ servers, stream: STREAM, maxBytes: 100_000_000, ...more });
        open.push(made);
        return made;
      }

      /** Opens it once the cluster is ready. */
      async opened(
        topic: Parameters<LedgerStream['open']>[0],
        more: object,
      ): Promise<LedgerStream> {
        const made = this.stream(more);
        await expect.poll(() => made.open(topic).then(() => 'open', String), ELECTED).toBe('open');
        return made;
      }

      async isolate(consumer: string): Promise<void> {
        const leaders = async (): Promise<unknown[]> => {
          const { cluster: stream } = await this.manager.streams.info(STREAM);
          const { cluster } = await this.manager.consumers.info(STREAM, consumer);
          return [stream?.leader, await this.#metaLeader(), cluster?.leader];
        };
        const stepDown = (subject: string): Promise<unknown> =>
          this.nc.request(`$JS.API.${subject}`, '', { timeout: 5000 }).catch(() => undefined);
        await expect
          .poll(async () => {
            const [stream, meta, own] = await leaders();
            if (stream === 'n2') await stepDown(`STREAM.LEADER.STEPDOWN.${STREAM}`);
            if (meta === 'n2') await this.#system('$JS.API.META.LEADER.STEPDOWN');
            if (own !== 'n2') await stepDown(`CONSUMER.LEADER.STEPDOWN.${STREAM}.${consumer}`);
            return [stream !== 'n2', meta !== 'n2', own === 'n2'];
          }, ELECTED)
          .toEqual([true, true, true]);
      }

      async #metaLeader(): Promise<string> {
        const [answer] = await this.#system('$SYS.REQ.SERVER.PING.JSZ', '{"leader_only":true}');
        return (answer as { server: { name: string } }).server.name;
      }

      async #system(subject: string, body = ''): Promise<unknown[]> {
        const servers = this.servers.addresses.slice(0, 1);
        const nc = await connect({ servers, user: 'system', pass: 'p' });
        try {
          return [(await nc.request(subject, body, { timeout: 5000 })).json()];
        } finally {
          await nc.close();
        }
      }

      /** Stops server 2, until the test ends. */
      async pause(): Promise<void> {
        await this.servers.signal(2, 'SIGSTOP');
        onTestFinished(() => this.servers.signal(2, 'SIGCONT'));
      }
    }

    it('is not taken for one that does not exist', { timeout: 120_000 }, async () => {
      const cluster = await Cluster.start();
      const reader = { ...TOPIC, reads: () => true };
      const writer = await cluster.opened(reader, {});
      await writer.publish(message('one'), 5000);
      await cluster.isolate(KNOWN);
      await cluster.pause();
      const [listed, backlog] = await Promise.all([
        listConsumers(cluster, STREAM),
        writer.backlog(10_000),
      ]);
      expect([...listed]).toEqual([[KNOWN, undefined]]);
      expect(backlog).toMatchObject({ messages: 1, unread: [] });
    });

    it('is still that of a store that other gateways serve', { timeout: 120_000 }, async () => {
      const cluster = await Cluster.start();
      const interest = { retention: 'interest' };
      await cluster.opened(TOPIC, { ...interest, stores: ['archive'] });
      await cluster.isolate(`archive-${KNOWN}`);
      await cluster.pause();
      const topic = { ...TOPIC, fingerprint: UNKNOWN };
      const later = await cluster.opened(topic, { ...interest, stores: ['main'] });
      await later.publish(message('one', UNKNOWN), 5000);
      const names = [...(await listConsumers(cluster, STREAM)).keys()];
      expect(names.sort()).toEqual([`archive-${KNOWN}`, `archive-${UNKNOWN}`, `main-${UNKNOWN}`]);
    });
  },
);
