import {
  jetstream,
  jetstreamManager,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { SinkTransientError } from '../errors/sink.errors.js';
import { classifyNatsError } from './classify-nats-error.js';
import type { ResolvedJetStreamOptions } from './jet-stream.options.js';
import { NatsRefusals } from './nats-refusals.js';

/** Milliseconds between two tries of the client to reconnect. */
const RECONNECT_MS = 250;
/** Default time limit of connecting. */
const CONNECT_TIMEOUT_MS = 5000;

/** A connection with its client and its manager. @internal */
export interface NatsSession {
  readonly nc: NatsConnection;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
}

/**
 * The connection to a cluster. It is made when first needed. The client reconnects while a server
 * of the cluster answers. After the client gave up, a new connection is made.
 *
 * @internal
 */
export class NatsLink {
  readonly refusals = new NatsRefusals();
  readonly #options: ResolvedJetStreamOptions;
  #session: Promise<NatsSession> | undefined;
  #nc: NatsConnection | undefined;
  #isUp = false;
  #isClosed = false;
  #number = 0;

  constructor(options: ResolvedJetStreamOptions) {
    this.#options = options;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Changes with every connect and reconnect. */
  get number(): number {
    return this.#number;
  }

  /** Bytes of a message that the connected server takes, and changes at run time; undefined before. */
  get maxPayload(): number | undefined {
    return this.#nc?.info?.max_payload;
  }

  /** The connected session. @throws SinkTransientError, SinkHaltError */
  async session(): Promise<NatsSession> {
    if (this.#isClosed) throw away('the connection is closed');
    this.#session ??= this.#connect().catch((error: unknown) => {
      this.#session = undefined;
      throw classifyNatsError(error);
    });
    const session = await this.#session;
    if (!this.#isUp) throw away('the connection to the stream is lost');
    return session;
  }

  async #connect(): Promise<NatsSession> {
    const { servers, connection } = this.#options;
    const nc = await connect({
      timeout: CONNECT_TIMEOUT_MS,
      reconnectTimeWait: RECONNECT_MS,
      ...connection,
      servers,
      maxReconnectAttempts: -1,
    });
    this.#nc = nc;
    this.#isUp = true;
    this.#number++;
    void this.#watch(nc);
    if (this.#isClosed) await nc.close();
    // Without a check of the account, which a server without a leader can't answer.
    const manager = await jetstreamManager(nc, { checkAPI: false });
    return { nc, client: jetstream(nc), manager };
  }

  /** Tracks whether the connection is up, until the client gives up. Never rejects. */
  async #watch(nc: NatsConnection): Promise<void> {
    for await (const status of nc.status()) {
      const { type } = status;
      if (type === 'disconnect') this.#isUp = false;
      else if (type === 'reconnect') {
        this.#isUp = true;
        this.#number++;
      } else if (type === 'error') this.refusals.note(status.error);
    }
    await nc.closed();
    this.#isUp = false;
    this.#session = undefined;
  }

  /**
   * Closes the connection after sent data has left, and after messages under way to an ended
   * request were returned; otherwise these would be redelivered only after their acknowledgement
   * time. Never rejects.
   *
   * @param timeoutMs limit of this wait
   */
  async close(timeoutMs: number): Promise<void> {
    this.#isClosed = true;
    const nc = this.#nc;
    if (nc === undefined || nc.isClosed()) return;
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise((resolve) => (timer = setTimeout(resolve, timeoutMs)));
    if (this.#isUp) await Promise.race([nc.drain().catch(() => undefined), limit]);
    clearTimeout(timer);
    await nc.close().catch(() => undefined);
  }
}

function away(message: string): SinkTransientError {
  return new SinkTransientError(message, { outcomeKnown: true });
}
