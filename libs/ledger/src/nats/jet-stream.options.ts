import type { ConnectionOptions } from '@nats-io/transport-node';

/** How a ledger reaches JetStream, and the stream that it makes there. @publicApi */
export interface JetStreamOptions {
  /** Addresses of one or more servers of the cluster: `nats://host:4222`, or `tls://…`. */
  readonly servers: string | readonly string[];
  /** Name of the stream; letters, digits, `-` and `_`. Default: `ledger-<name of the ledger>`. */
  readonly stream?: string;
  /**
   * Copies of each message, 1 to 5, of which all but the minority may be lost. Default: 3. A server that stands alone
   * takes 1 only.
   */
  readonly replicas?: number;
  /**
   * Bytes that the stream may hold. When they are full, publishing fails and gateways keep what they accept.
   * Default: 4 GiB, about 20 million entries.
   */
  readonly maxBytes?: number;
  /**
   * Milliseconds after which a message of a writer that gives no sign of life is delivered again; 1,000 to
   * 3,600,000. Default: 30,000.
   */
  readonly ackWaitMs?: number;
  /** Make the stream if it is not there. Default: true. False: its absence halts the ledger. */
  readonly create?: boolean;
  /** What else the client takes: `user`, `pass`, `token`, `tls`, `authenticator`, `timeout`, … */
  readonly connection?: Omit<ConnectionOptions, 'servers'>;
}

/** Options with every value in force. @internal */
export interface ResolvedJetStreamOptions {
  readonly servers: string[];
  readonly stream: string | undefined;
  readonly replicas: number;
  readonly maxBytes: number;
  readonly ackWaitMs: number;
  readonly create: boolean;
  readonly connection: Omit<ConnectionOptions, 'servers'>;
}

const DEFAULT_MAX_BYTES = 4 * 1024 ** 3;
/** JetStream's own default. Source: https://docs.nats.io/nats-concepts/jetstream/consumers */
const DEFAULT_ACK_WAIT_MS = 30_000;

/** @throws RangeError that names the option, its value and the rule @internal */
export function resolveJetStreamOptions(options: JetStreamOptions): ResolvedJetStreamOptions {
  const servers = typeof options.servers === 'string' ? [options.servers] : [...options.servers];
  const { stream, replicas = 3, maxBytes = DEFAULT_MAX_BYTES } = options;
  const { ackWaitMs = DEFAULT_ACK_WAIT_MS, create = true, connection = {} } = options;
  check('servers', servers.length > 0 && servers.every(Boolean), 'must name at least one server');
  const isName = stream === undefined || /^[A-Za-z0-9_-]{1,255}$/.test(stream);
  check('stream', isName, 'must be 1 to 255 letters, digits, - or _');
  check('replicas', isWithin(replicas, 1, 5), 'must be an integer from 1 to 5');
  const isSize = isWithin(maxBytes, 1_048_576, Number.MAX_SAFE_INTEGER);
  check('maxBytes', isSize, 'must be 1 MiB or more, in bytes');
  check('ackWaitMs', isWithin(ackWaitMs, 1000, 3_600_000), 'must be from 1,000 to 3,600,000 ms');
  return { servers, stream, replicas, maxBytes, ackWaitMs, create, connection };
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

function check(option: string, isGood: boolean, rule: string): void {
  if (!isGood) throw new RangeError(`jetStream({ ${option} }) ${rule}`);
}
