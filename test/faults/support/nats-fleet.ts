import { setTimeout as pause } from 'node:timers/promises';
import { jetstreamManager, type JetStreamManager, type StreamInfo } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { NatsServers } from '../../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { StreamFleet, type StreamFleetParts } from './stream-fleet.js';

/** Name of the fleet's stream. */
export const FLEET_STREAM = 'ledger-default';

/** A fleet over JetStream. */
export class NatsFleet extends StreamFleet<NatsServers> {
  constructor(parts: StreamFleetParts<NatsServers>) {
    super('nats', parts);
  }

  /** Address of the servers, as commands take it. */
  get url(): string {
    const hosts = this.parts.brokers.addresses.map((each) => new URL(each).host);
    return `nats://${hosts.join(',')}`;
  }

  override async waiting(): Promise<number> {
    return (await this.#info()).state.messages;
  }

  /** Index of the server that leads the stream; undefined while there is none. */
  async leader(): Promise<number | undefined> {
    const { cluster } = await this.#info();
    const index = Number(/^n(\d)$/.exec(cluster?.leader ?? '')?.[1]);
    return Number.isInteger(index) ? index : undefined;
  }

  #info(): Promise<StreamInfo> {
    return this.manage(({ streams }) => streams.info(FLEET_STREAM));
  }

  /** Layouts whose messages the stream delivers to writers. */
  layouts(): Promise<string[]> {
    return this.manage(async ({ consumers }) => {
      const names: string[] = [];
      for await (const { name } of consumers.list(FLEET_STREAM)) names.push(name);
      return names;
    });
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

/** Stops a process for a while, as a machine does that is paused. */
export async function hold(
  signal: (name: 'SIGSTOP' | 'SIGCONT') => void | Promise<void>,
  ms: number,
): Promise<void> {
  await signal('SIGSTOP');
  await pause(ms);
  await signal('SIGCONT');
}
