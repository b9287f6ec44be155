import { Admin, Consumer, Producer, type GroupOptions } from '@platformatic/kafka';
import { atMost, systemClock as clock } from '../clock/clock.js';
import type { ResolvedKafkaOptions } from './kafka-stream.options.js';

/** Default milliseconds for a broker's answer. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Signs of life of a writer within the time after which it counts as dead. */
const SIGNS_OF_LIFE = 10;

/** Options of a client that joins the group. */
type Membership = Pick<GroupOptions, 'partitionAssigner' | 'protocols'>;

/** Any of the client's clients. */
type Client = Admin | Consumer | Producer;

/**
 * Makes the client's clients for one stream, and ends them. None of them retries, because the
 * ledger retries with its own limits.
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
   * A producer without idempotence, which would avoid duplicates of retries within one process
   * only. The uuids skip these anyway, and idempotence loses its state with each failure.
   */
  producer(): Producer {
    return this.#keep(new Producer(this.#base()));
  }

  /**
   * @param membership for a member of the group: its distribution of partitions, and its published
   *   data
   */
  consumer(groupId: string, membership: Membership = {}): Consumer {
    const { sessionTimeoutMs } = this.options;
    const consumer = new Consumer({
      ...this.#base(),
      groupId,
      autocommit: false,
      ...membership,
      sessionTimeout: sessionTimeoutMs,
      rebalanceTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.floor(sessionTimeoutMs / SIGNS_OF_LIFE),
    });
    // The user of the consumer listens too; without a listener Node would end the process.
    consumer.on('error' as never, () => undefined);
    return this.#keep(consumer);
  }

  #base() {
    const { brokers, connection } = this.options;
    // Starts with a random broker: the client always begins with the first, even if it hangs.
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

  /** Closes gracefully within the time, then cuts the connections. Never rejects. */
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
