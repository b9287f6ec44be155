import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import { JetStream } from './jet-stream.js';
import type { JetStreamOptions } from './jet-stream.options.js';

/**
 * A stream on NATS JetStream, for one ledger of one process: gateways publish to it, writers take from it.
 * It connects when it is opened. Needs `@nats-io/transport-node` and `@nats-io/jetstream`.
 *
 * With three replicas any one server may die. An acknowledged message is not yet synced to disk, so a loss of power of
 * most servers at once may lose the last two minutes, unless the servers have `sync_interval: always`.
 *
 * @throws RangeError that names an option out of its range
 * @publicApi
 */
export function jetStream(options: JetStreamOptions): LedgerStream {
  return new JetStream(options);
}
