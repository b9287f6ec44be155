import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import {
  findNatsPrograms,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { REPLICAS, type BenchStream } from './bench-stream.js';
import { definitionOf, type EntryKind } from './entries.js';
import { processCpuMs } from './server-cpu.js';

/** Version of the `nats-server` that `BenchNats` starts; undefined if there is none. */
export function natsVersion(): string | undefined {
  return findNatsPrograms()[0]?.version;
}

/** Three servers of NATS. */
export class BenchNats implements BenchStream {
  readonly engine = 'NATS';

  private constructor(
    private readonly cluster: NatsServers,
    private readonly nc: NatsConnection,
  ) {}

  /** @throws Error if there is no `nats-server` */
  static async open(): Promise<BenchNats> {
    const [program] = findNatsPrograms();
    if (program === undefined) throw new Error('there is no nats-server');
    const cluster = await NatsServers.start(program, REPLICAS);
    return new BenchNats(cluster, await connect({ servers: cluster.addresses }));
  }

  get url(): string {
    return `nats://${this.cluster.addresses.map((each) => new URL(each).host).join(',')}`;
  }

  cpuMs(): Promise<number> {
    return processCpuMs(this.cluster.pids);
  }

  async publish(kind: EntryKind, bytes: Buffer): Promise<void> {
    await jetstream(this.nc).publish(`ledger.${definitionOf(kind).name}.row`, bytes);
  }

  async clear(kind: EntryKind): Promise<void> {
    const { streams } = await jetstreamManager(this.nc, { checkAPI: false });
    await streams.purge(`ledger-${definitionOf(kind).name}`);
  }

  async close(): Promise<void> {
    await this.nc.close();
    await this.cluster.stop();
  }
}
