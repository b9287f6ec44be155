import { Admin, ListOffsetTimestamps, ProduceAcks, Producer } from '@platformatic/kafka';
import { KafkaBrokers } from '../../libs/ledger/src/kafka/fixtures/kafka-brokers.fixture.js';
import { REPLICAS, type BenchStream } from './bench-stream.js';
import { definitionOf, type EntryKind } from './entries.js';
import { processCpuMs } from './server-cpu.js';

/** Three brokers of Kafka. */
export class BenchKafka implements BenchStream {
  readonly engine = 'Kafka';

  private constructor(
    private readonly brokers: KafkaBrokers,
    private readonly admin: Admin,
    private readonly producer: Producer,
  ) {}

  /** @throws Error if brokers can't be started; see `whyNoKafka` */
  static async open(): Promise<BenchKafka> {
    const brokers = await KafkaBrokers.start(REPLICAS);
    const client = { clientId: 'bench', bootstrapBrokers: brokers.addresses };
    return new BenchKafka(brokers, new Admin(client), new Producer(client));
  }

  get url(): string {
    return `kafka://${this.brokers.addresses.join(',')}`;
  }

  cpuMs(): Promise<number> {
    return processCpuMs(this.brokers.pids);
  }

  async publish(kind: EntryKind, bytes: Buffer): Promise<void> {
    const messages = [{ topic: topicOf(kind), value: bytes }];
    await this.producer.send({ messages, acks: ProduceAcks.ALL });
  }

  /** Puts the group of the writers behind the last message, as none of them runs between rounds. */
  async clear(kind: EntryKind): Promise<void> {
    const name = topicOf(kind);
    const metadata = await this.admin.metadata({ topics: [name], forceUpdate: true });
    const count = metadata.topics.get(name)!.partitionsCount;
    const timestamp = ListOffsetTimestamps.LATEST;
    const asked = Array.from({ length: count }, (_, partitionIndex) => ({
      partitionIndex,
      timestamp,
    }));
    const [ends] = await this.admin.listOffsets({ topics: [{ name, partitions: asked }] });
    const partitionOffsets = ends!.partitions.map(({ partitionIndex, offset }) => ({
      partition: partitionIndex,
      offset,
    }));
    await this.admin.alterConsumerGroupOffsets({
      groupId: name,
      topics: [{ name, partitionOffsets }],
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.admin.close(), this.producer.close()]);
    await this.brokers.stop();
  }
}

/** The default topic of a ledger, and of its group. */
function topicOf(kind: EntryKind): string {
  return `ledger-${definitionOf(kind).name}`;
}
