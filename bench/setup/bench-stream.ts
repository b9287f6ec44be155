import type { LedgerStream } from '../../libs/ledger/src/ports/ledger-stream.interface.js';
import type { EntryKind } from './entries.js';

/** Copies of each message: one server may fail. */
export const REPLICAS = 3;

/** Three servers of a stream on this machine, made for one run, with their default configuration. */
export interface BenchStream {
  readonly engine: 'NATS' | 'Kafka';
  /** Address for the processes of the benchmark. */
  readonly url: string;
  /** Milliseconds of CPU that the servers have taken together. */
  cpuMs(): Promise<number>;
  /**
   * Publishes one message as a user's client does, on its own connection: the bytes only, without
   * an id or headers. Resolves once the stream has stored it.
   */
  publish(kind: EntryKind, bytes: Buffer): Promise<void>;
  /** Gives every round the same start: no waiting message. */
  clear(kind: EntryKind): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the stream of `BenchStream.url` in another process. It loads one engine only, because the
 * client of Kafka needs a newer version of Node.js than everything else.
 */
export async function openStream(url: string): Promise<LedgerStream> {
  if (url.startsWith('kafka:')) {
    const { kafkaStream } = await import('../../libs/ledger/src/kafka/create-kafka-stream.js');
    const { parseKafkaUrl } = await import('../../libs/ledger/src/kafka/parse-kafka-url.js');
    return kafkaStream(parseKafkaUrl(url));
  }
  const { jetStream } = await import('../../libs/ledger/src/nats/create-jet-stream.js');
  const { parseNatsUrl } = await import('../../libs/ledger/src/nats/parse-nats-url.js');
  return jetStream(parseNatsUrl(url));
}
