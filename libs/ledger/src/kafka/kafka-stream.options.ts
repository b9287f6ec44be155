import type { ConnectionOptions as TlsOptions } from 'node:tls';

/** Connection options of the client for each broker. @publicApi */
export interface KafkaConnection {
  /** Name of this process in the brokers' logs and quotas. Default: `nestjs-ledger`. */
  readonly clientId?: string;
  /** Milliseconds to connect. Default: 5,000. */
  readonly connectTimeout?: number;
  /** Milliseconds for a broker's answer. Default: 10,000. */
  readonly requestTimeout?: number;
  /** TLS options of `node:tls`; `{}` for the machine's own certificates. */
  readonly tls?: TlsOptions;
  /** True: the name of the server in TLS is its host; a string: that name. */
  readonly tlsServerName?: string | boolean;
  readonly sasl?: KafkaSasl;
}

/** A login. Functions are called again for each connection. @publicApi */
export interface KafkaSasl {
  /** As configured for the brokers' listener. */
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER';
  /** Not for `OAUTHBEARER`. */
  readonly username?: string | (() => string | Promise<string>);
  /** Not for `OAUTHBEARER`. */
  readonly password?: string | (() => string | Promise<string>);
  /** For `OAUTHBEARER` only. */
  readonly token?: string | (() => string | Promise<string>);
}

/** A ledger's connection to Kafka, and the topic that it makes there. @publicApi */
export interface KafkaStreamOptions {
  /** Addresses of one or more brokers of the cluster: `host:9092`. */
  readonly brokers: string | readonly string[];
  /** Name of the topic; 1 to 249 letters, digits, `.`, `-` and `_`. Default: `ledger-<name of the ledger>`. */
  readonly topic?: string;
  /** Name of the consumer group of all writers. Default: the name of the topic. */
  readonly group?: string;
  /**
   * Partitions of a new topic, 1 to 1,000, and thus the most writers that can work at once.
   * Default: 12.
   */
  readonly partitions?: number;
  /**
   * Copies of each message in a new topic, 1 to 15. Default: 3. From 3 on, a message is
   * acknowledged once two brokers have it.
   */
  readonly replicas?: number;
  /**
   * Milliseconds without a sign of life after which a writer's partitions go to the others; 6,000
   * to 300,000. Default: 10,000.
   */
  readonly sessionTimeoutMs?: number;
  /**
   * Minimum `retention.ms` of an existing topic: it must be longer than any outage of the writers.
   * 60,000 or more. Default: 7 days. A topic made by the ledger keeps messages until they are
   * written.
   */
  readonly minRetentionMs?: number;
  /**
   * Whether to delete written messages from the topic, so that it only contains the backlog.
   * Default: true. Needs the right to delete records.
   */
  readonly purge?: boolean;
  /**
   * Whether to make the topic if it does not exist. Default: true. With false, its absence halts
   * the ledger.
   */
  readonly create?: boolean;
  readonly connection?: KafkaConnection;
}

/** The options with all defaults. @internal */
export interface ResolvedKafkaOptions {
  readonly brokers: string[];
  readonly topic: string | undefined;
  readonly group: string | undefined;
  readonly partitions: number;
  readonly replicas: number;
  readonly sessionTimeoutMs: number;
  readonly minRetentionMs: number;
  readonly purge: boolean;
  readonly create: boolean;
  readonly connection: KafkaConnection;
}

/**
 * Kafka's default of `retention.ms`. Source: https://kafka.apache.org/documentation/#topicconfigs
 */
const WEEK_MS = 604_800_000;
/**
 * Shorter than the 45 s of Kafka's client, because nothing writes the partitions of a dead writer
 * until then. The minimum of brokers is 6 s by default.
 */
const DEFAULT_SESSION_MS = 10_000;

/** @throws RangeError that names the option, its value and the rule @internal */
export function resolveKafkaOptions(options: KafkaStreamOptions): ResolvedKafkaOptions {
  const brokers = typeof options.brokers === 'string' ? [options.brokers] : [...options.brokers];
  const { topic, group, partitions = 12, replicas = 3, connection = {} } = options;
  const { sessionTimeoutMs = DEFAULT_SESSION_MS, minRetentionMs = WEEK_MS } = options;
  const { purge = true, create = true } = options;
  const areBrokers = brokers.length > 0 && brokers.every((each) => /^[^/\s]+:\d+$/.test(each));
  check('brokers', areBrokers, 'must name at least one broker as host:port');
  const isName = topic === undefined || /^[A-Za-z0-9._-]{1,249}$/.test(topic);
  check('topic', isName, 'must be 1 to 249 letters, digits, ., - or _');
  check('group', group !== '', 'must not be empty');
  check('partitions', isWithin(partitions, 1, 1000), 'must be an integer from 1 to 1,000');
  check('replicas', isWithin(replicas, 1, 15), 'must be an integer from 1 to 15');
  const isSession = isWithin(sessionTimeoutMs, 6000, 300_000);
  check('sessionTimeoutMs', isSession, 'must be from 6,000 to 300,000 ms');
  const isRetention = isWithin(minRetentionMs, 60_000, Number.MAX_SAFE_INTEGER);
  check('minRetentionMs', isRetention, 'must be 60,000 ms or more');
  return {
    ...{ brokers, topic, group, partitions, replicas, sessionTimeoutMs, minRetentionMs },
    ...{ purge, create, connection },
  };
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

function check(option: string, isGood: boolean, rule: string): void {
  if (!isGood) throw new RangeError(`kafkaStream({ ${option} }) ${rule}`);
}
