import type { ConnectionOptions } from '@nats-io/transport-node';

/** A ledger's connection to JetStream, and the stream that it makes there. @publicApi */
export interface JetStreamOptions {
  /** Addresses of one or more servers of the cluster: `nats://host:4222`, or `tls://…`. */
  readonly servers: string | readonly string[];
  /** Name of the stream; letters, digits, `-` and `_`. Default: `ledger-<name of the ledger>`. */
  readonly stream?: string;
  /**
   * When a message leaves the stream: `workqueue`, once the one store wrote it; `interest`, once
   * each of `stores` did. Default: `workqueue`.
   */
  readonly retention?: 'workqueue' | 'interest';
  /**
   * Names of all stores that get every entry, for example two databases; letters, digits and `_`.
   * Gateways make their consumers before they publish. Required with `interest`.
   */
  readonly stores?: readonly string[];
  /** The store of a writer, one of `stores`; also that of `verify` and `doctor`. */
  readonly store?: string;
  /**
   * Copies of each message, 1 to 5; any minority of them may be lost. Default: 3. A single server
   * allows 1 only.
   */
  readonly replicas?: number;
  /**
   * Maximum bytes of the stream. When it is full, publishing fails and gateways keep the entries
   * that they accept. Default: 4 GiB, about 20 million entries.
   */
  readonly maxBytes?: number;
  /**
   * Milliseconds without a sign of life of a writer after which its message is delivered again;
   * 1,000 to 3,600,000. Default: 30,000.
   */
  readonly ackWaitMs?: number;
  /**
   * Whether to make the stream if it does not exist. Default: true. With false, its absence halts
   * the ledger.
   */
  readonly create?: boolean;
  /** Other options of the client: `user`, `pass`, `token`, `tls`, `authenticator`, `timeout`, … */
  readonly connection?: Omit<ConnectionOptions, 'servers'>;
}

/** The options with all defaults. @internal */
export interface ResolvedJetStreamOptions {
  readonly servers: string[];
  readonly stream: string | undefined;
  readonly retention: 'workqueue' | 'interest';
  /** Empty with `workqueue`. */
  readonly stores: readonly string[];
  readonly store: string | undefined;
  readonly replicas: number;
  readonly maxBytes: number;
  readonly ackWaitMs: number;
  readonly create: boolean;
  readonly connection: Omit<ConnectionOptions, 'servers'>;
}

const DEFAULT_MAX_BYTES = 4 * 1024 ** 3;
/** JetStream's default. Source: https://docs.nats.io/nats-concepts/jetstream/consumers */
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
  const { retention = 'workqueue', stores = [], store } = options;
  checkStores(options);
  const isSize = isWithin(maxBytes, 1_048_576, Number.MAX_SAFE_INTEGER);
  check('maxBytes', isSize, 'must be 1 MiB or more, in bytes');
  check('ackWaitMs', isWithin(ackWaitMs, 1000, 3_600_000), 'must be from 1,000 to 3,600,000 ms');
  return {
    ...{ servers, stream, retention, stores: [...new Set(stores)], store },
    ...{ replicas, maxBytes, ackWaitMs, create, connection },
  };
}

function checkStores({ retention = 'workqueue', stores, store }: JetStreamOptions): void {
  const isKnown = ['workqueue', 'interest'].includes(retention);
  check('retention', isKnown, "must be 'workqueue' or 'interest'");
  if (retention === 'workqueue') {
    const rule = "needs retention: 'interest', because a stream with workqueue has one store";
    check('stores', stores === undefined, rule);
    return check('store', store === undefined, rule);
  }
  const isList = Array.isArray(stores) && stores.length > 0;
  const areNames = isList && stores.every((each) => /^[A-Za-z0-9_]{1,64}$/.test(String(each)));
  check('stores', areNames, 'must name all stores, each with 1 to 64 letters, digits or _');
  check('store', store === undefined || stores!.includes(store), 'must be one of stores');
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= min && value <= max;
}

function check(option: string, isGood: boolean, rule: string): void {
  if (!isGood) throw new RangeError(`jetStream({ ${option} }) ${rule}`);
}
