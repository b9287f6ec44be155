import {
  jetstreamManager,
  type ConsumerInfo,
  type JetStreamManager,
  type StreamInfo,
} from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { NatsServers } from '../../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { fingerprintOf } from '../../../libs/ledger/src/nats/stream-config.js';
import { StreamFleet, type StreamFleetParts } from './stream-fleet.js';

/** Name of the fleet's stream. */
export const FLEET_STREAM = 'ledger-default';

/** What processes that give no name may do. */
const allow = (permissions: string): string =>
  `authorization { users: [{ user: u, password: p, permissions: { ${permissions} } }] }\nno_auth_user: u`;
/** The configuration of brokers whose permissions are withdrawn later. */
export const ALL_ALLOWED = allow('publish: ">"');
const NO_MESSAGES = allow('publish: { deny: "ledger.>" }');

/** A fleet over JetStream. */
export class NatsFleet extends StreamFleet<NatsServers> {
  override readonly stopsAtUnread = false;
  override readonly streamName = `stream ${FLEET_STREAM}`;

  constructor(parts: StreamFleetParts<NatsServers>) {
    super('nats', parts);
  }

  override get url(): string {
    const hosts = this.parts.brokers.addresses.map((each) => new URL(each).host);
    return `nats://${hosts.join(',')}`;
  }

  override async waiting(): Promise<number> {
    return (await this.#info()).state.messages;
  }

  override async describeStream(): Promise<string> {
    const [{ state }, all] = [await this.#info(), await this.#consumers()];
    const consumers = all.map(({ name, num_pending, num_ack_pending, ack_floor, delivered }) => {
      return { name, num_pending, num_ack_pending, ack_floor, delivered };
    });
    return JSON.stringify({ state, consumers });
  }

  override async consumedLayouts(): Promise<string[]> {
    return (await this.#consumers()).map(({ name }) => fingerprintOf(name));
  }

  #consumers(): Promise<ConsumerInfo[]> {
    return this.manage(async (manager) => {
      const found: ConsumerInfo[] = [];
      for await (const each of manager.consumers.list(FLEET_STREAM)) found.push(each);
      return found;
    });
  }

  override async leader(): Promise<number | undefined> {
    const { cluster } = await this.#info();
    const index = Number(/^n(\d)$/.exec(cluster?.leader ?? '')?.[1]);
    return Number.isInteger(index) ? index : undefined;
  }

  #info(): Promise<StreamInfo> {
    return this.manage(({ streams }) => streams.info(FLEET_STREAM));
  }

  override denyPublishing(): Promise<void> {
    return this.parts.brokers.reload(NO_MESSAGES);
  }

  override allowAll(): Promise<void> {
    return this.parts.brokers.reload(ALL_ALLOWED);
  }

  override async deleteStream(): Promise<() => Promise<void>> {
    const { config } = await this.#info();
    await this.manage(({ streams }) => streams.delete(FLEET_STREAM));
    return async () => {
      await this.manage(({ streams }) => streams.add(config));
    };
  }

  /** Does something with the streams of the brokers, as a person does. */
  async manage<T>(work: (manager: JetStreamManager) => Promise<T>): Promise<T> {
    const nc = await connect({ servers: this.parts.brokers.addresses, timeout: 5000 });
    try {
      return await work(await jetstreamManager(nc, { checkAPI: false }));
    } finally {
      await nc.close();
    }
  }
}
