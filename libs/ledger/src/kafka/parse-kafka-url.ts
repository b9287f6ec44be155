import { parseStreamUrl } from '../stream/parse-stream-url.js';
import type { KafkaConnection, KafkaSasl, KafkaStreamOptions } from './kafka-stream.options.js';

/** Port of a broker named without one. Source: `listeners` in Kafka's own configuration. */
const PORT = 9092;
/** Mechanisms that need only a user and a password. */
const SASL: readonly string[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'];
const RULES = {
  protocols: ['kafka'],
  example: 'kafka://host:9092,host:9092?replicas=3',
  texts: ['topic', 'group', 'sasl'],
  numbers: ['partitions', 'replicas', 'sessionTimeoutMs', 'minRetentionMs'],
  switches: ['tls', 'purge', 'create'],
};

/**
 * Options from an address:
 * `kafka://user:password@host:9092,host:9092?sasl=SCRAM-SHA-512&tls=true&topic=name`. User and
 * password are percent-encoded. The options after `?` are those of `kafkaStream()` that are texts,
 * numbers or switches; `tls=true`, with the certificates that Node.js trusts; and `sasl`, the
 * mechanism required with a user.
 *
 * @throws RangeError with the rule, and never with the address, which may contain a password
 * @internal
 */
export function parseKafkaUrl(url: string): KafkaStreamOptions {
  const { hosts, user, password, options } = parseStreamUrl(url, RULES);
  const { sasl, tls, ...own } = options;
  const login = saslOf(sasl, user, password);
  const connection: KafkaConnection = {
    // The name is checked against the certificate, and selects it if a server has several.
    ...(tls === true && { tls: {}, tlsServerName: true }),
    ...(login && { sasl: login }),
  };
  const isPlain = Object.keys(connection).length === 0;
  return { brokers: hosts.map(withPort), ...(isPlain ? {} : { connection }), ...own };
}

function saslOf(
  mechanism: unknown,
  username: string | undefined,
  password: string | undefined,
): KafkaSasl | undefined {
  if (mechanism === undefined && username === undefined) return undefined;
  const isWhole = SASL.includes(String(mechanism)) && username && password;
  if (!isWhole)
    throw new RangeError(`needs a user, a password and sasl=${SASL.join('|')} together`);
  return { mechanism: mechanism as KafkaSasl['mechanism'], username, password };
}

function withPort(host: string): string {
  return /:\d+$/.test(host) ? host : `${host}:${PORT}`;
}
