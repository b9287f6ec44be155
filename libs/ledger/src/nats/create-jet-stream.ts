import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { JetStream } from './jet-stream.js';
import type { JetStreamOptions } from './jet-stream.options.js';

/**
 * A stream on NATS JetStream, for one ledger of one process: gateways publish to it, writers take
 * from it. It connects when opened. Needs `@nats-io/transport-node` and `@nats-io/jetstream`.
 *
 * With three replicas any one server may fail. An acknowledged message is not yet synced to disk. A
 * simultaneous loss of power on most servers may lose the last two minutes, unless the servers have
 * `sync_interval: always`.
 *
 * @throws RangeError that names an option out of its range
 * @publicApi
 */
export function jetStream(options: JetStreamOptions): LedgerStream {
  return new JetStream(options);
}
