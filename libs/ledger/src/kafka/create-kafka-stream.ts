import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { checkNodeVersion } from './check-node-version.js';
import { KafkaStream } from './kafka-stream.js';
import type { KafkaStreamOptions } from './kafka-stream.options.js';

/**
 * A stream on Kafka, for one ledger of one process: gateways publish to it, writers take from it.
 * It connects when opened. Needs `@platformatic/kafka`, and therefore Node.js 22.22 or later.
 *
 * With three replicas any one broker may fail. An acknowledged message is in the memory of at least
 * two brokers and not yet synced to their disks. A simultaneous loss of power on all of them may
 * lose the last seconds.
 *
 * @throws RangeError that names an option out of its range
 * @throws Error if the version of Node.js is too low
 * @publicApi
 */
export function kafkaStream(options: KafkaStreamOptions): LedgerStream {
  checkNodeVersion(process.versions.node);
  return new KafkaStream(options);
}
