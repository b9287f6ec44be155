import {
  AclOperations,
  AclPermissionTypes,
  Admin,
  ConfigResourceTypes,
  IncrementalAlterConfigOperationTypes,
  ResourcePatternTypes,
  ResourceTypes,
  type AclOperationValue,
} from '@platformatic/kafka';
import type { KafkaBrokers } from '../../../libs/ledger/src/kafka/fixtures/kafka-brokers.fixture.js';
import { kafkaStream } from '../../../libs/ledger/src/kafka/create-kafka-stream.js';
import type { LedgerStream } from '../../../libs/ledger/src/ports/ledger-stream.interface.js';
import { StreamFleet, type StreamFleetParts } from './stream-fleet.js';

/** Name of the fleet's topic. */
const FLEET_TOPIC = 'ledger-default';
const ANSWER_MS = 5000;
/** What permissions are about. The group has the topic's name. */
const TARGETS = [ResourceTypes.TOPIC, ResourceTypes.GROUP].map((resourceType) => ({
  ...{ resourceType, resourceName: FLEET_TOPIC },
  resourcePatternType: ResourcePatternTypes.LITERAL,
}));

/** A fleet over Kafka. */
export class KafkaFleet extends StreamFleet<KafkaBrokers> {
  override readonly stopsAtUnread = true;
  override readonly streamName = `topic ${FLEET_TOPIC}`;
  #observer: LedgerStream | undefined;

  constructor(parts: StreamFleetParts<KafkaBrokers>) {
    super('kafka', parts);
  }

  override get url(): string {
    return `kafka://${this.parts.brokers.addresses.join(',')}`;
  }

  override async waiting(): Promise<number> {
    this.#observer ??= kafkaStream({ brokers: this.parts.brokers.addresses });
    await this.#observer.open({ ledger: 'default', fingerprint: 'of nobody' });
    return (await this.#observer.backlog(ANSWER_MS)).messages;
  }

  /** Of the topic's first partition. */
  override leader(): Promise<number | undefined> {
    return this.manage(async (admin) => {
      const { topics } = await admin.metadata({ topics: [FLEET_TOPIC], forceUpdate: true });
      const id = topics.get(FLEET_TOPIC)?.partitions[0]?.leader ?? -1;
      return id < 1 ? undefined : id - 1;
    });
  }

  override denyPublishing(): Promise<void> {
    return this.#deny(AclOperations.WRITE);
  }

  /** Withdraws the permission to read the topic, and that to be in the group. */
  denyReading(): Promise<void> {
    return this.#deny(AclOperations.READ);
  }

  /** Denies an operation to everybody. A rule for it forbids all others, unless another allows them. */
  #deny(operation: AclOperationValue): Promise<void> {
    const everybody = { principal: 'User:*', host: '*' };
    const rules = [
      { operation: AclOperations.ALL, permissionType: AclPermissionTypes.ALLOW },
      { operation, permissionType: AclPermissionTypes.DENY },
    ];
    const creations = TARGETS.flatMap((target) =>
      rules.map((rule) => ({ ...target, ...everybody, ...rule })),
    );
    return this.manage((admin) => admin.createAcls({ creations }));
  }

  override async allowAll(): Promise<void> {
    const any = { operation: AclOperations.ANY, permissionType: AclPermissionTypes.ANY };
    const filters = TARGETS.map((target) => ({ ...target, ...any, principal: null, host: null }));
    await this.manage((admin) => admin.deleteAcls({ filters }));
  }

  override async deleteStream(): Promise<() => Promise<void>> {
    await this.manage((admin) => admin.deleteTopics({ topics: [FLEET_TOPIC] }));
    return async () => {
      const maker = kafkaStream({ brokers: this.parts.brokers.addresses });
      await maker.open({ ledger: 'default', fingerprint: 'of nobody' });
      await maker.close();
    };
  }

  /** Changes a setting of the topic. */
  set(name: string, value: string): Promise<void> {
    const configOperation = IncrementalAlterConfigOperationTypes.SET;
    const topic = { resourceType: ConfigResourceTypes.TOPIC, resourceName: FLEET_TOPIC };
    const resources = [{ ...topic, configs: [{ name, value, configOperation }] }];
    return this.manage((admin) => admin.incrementalAlterConfigs({ resources }));
  }

  /** Does something with the topics of the brokers, as a person does. */
  async manage<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const bootstrapBrokers = [...this.parts.brokers.addresses];
    const admin = new Admin({ clientId: 'person', bootstrapBrokers, requestTimeout: ANSWER_MS });
    try {
      return await work(admin);
    } finally {
      await admin.close();
    }
  }

  override async end(): Promise<void> {
    await this.#observer?.close();
    await super.end();
  }
}
