import { Admin, Consumer, Producer, type GroupPartitionsAssigner } from '@platformatic/kafka';
import { atMost, systemClock as clock } from '../clock/clock.js';
import type { ResolvedKafkaOptions } from './kafka-stream.options.js';

/** Milliseconds that a broker gets to answer, unless the options say. */
const REQUEST_TIMEOUT_MS = 10_000;
/** A writer says that it lives so many times in the time after which it counts as dead. */
const SIGNS_OF_LIFE = 10;

/** Any of the client's clients. */
type Client = Admin | Consumer | Producer;

/**
 * Makes the client's clients for one stream, and ends them. None of them retries: the ledger does, and knows
 * for how long.
 *
 * @internal
 */
export class KafkaClients {
  readonly #made = new Set<Client>();

  constructor(private readonly options: ResolvedKafkaOptions) {}

  admin(): Admin {
    return this.#keep(new Admin(this.#base()));
  }

  /**
   * Not an idempotent one: it would spare duplicates of retries within one process only, which the uuids
   * skip anyway, and loses its state with each failure.
   */
  producer(): Producer {
    return this.#keep(new Producer(this.#base()));
  }

  /** @param partitionAssigner distributes the partitions if this one joins the group and leads it */
  consumer(groupId: string, partitionAssigner?: GroupPartitionsAssigner): Consumer {
    const { sessionTimeoutMs } = this.options;
    const consumer = new Consumer({
      ...this.#base(),
      groupId,
      autocommit: false,
      ...(partitionAssigner === undefined ? {} : { partitionAssigner }),
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.floor(sessionTimeoutMs / SIGNS_OF_LIFE),
    });
    // Who uses it listens too; without a listener Node would end the process.
    consumer.on('error' as never, () => undefined);
    return this.#keep(consumer);
  }

  #base() {
    const { brokers, connection } = this.options;
    // From a random one on: the client always begins with the first, even if that hangs.
    const first = Math.floor(Math.random() * brokers.length);
    return {
      clientId: 'nestjs-ledger',
      requestTimeout: REQUEST_TIMEOUT_MS,
      ...connection,
      bootstrapBrokers: [...brokers.slice(first), ...brokers.slice(0, first)],
      retries: 0,
    };
  }

  #keep<T extends Client>(client: T): T {
    this.#made.add(client);
    return client;
  }

  /** Leaves politely within the time, then cuts the connections. Never rejects. */
  async end(client: Client, timeoutMs: number): Promise<void> {
    this.#made.delete(client);
    const closing = Promise.resolve(client.close()).catch(() => undefined);
    await atMost(clock, timeoutMs, closing);
    for (const [, connection] of client.connections) connection.socket?.destroy();
  }

  /** Ends all. Never rejects. */
  async endAll(timeoutMs: number): Promise<void> {
    await Promise.all([...this.#made].map((client) => this.end(client, timeoutMs)));
  }
}
