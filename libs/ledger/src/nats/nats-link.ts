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

/** Pause of the client between two tries to connect again, in milliseconds. */
const RECONNECT_MS = 250;
/** Time limit of connecting, unless the options say. */
const CONNECT_TIMEOUT_MS = 5000;

/** A connection with its client and its manager. @internal */
export interface NatsSession {
  readonly nc: NatsConnection;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
}

/**
 * The connection to a cluster: made when it is first needed, again by the client while a server of the cluster
 * answers, and anew after the client gave it up.
 *
 * @internal
 */
export class NatsLink {
  readonly #options: ResolvedJetStreamOptions;
  #session: Promise<NatsSession> | undefined;
  #nc: NatsConnection | undefined;
  #isUp = false;
  #isClosed = false;

  constructor(options: ResolvedJetStreamOptions) {
    this.#options = options;
  }

  /** The connection, which is up. @throws SinkTransientError, SinkHaltError */
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
    void this.#watch(nc);
    if (this.#isClosed) await nc.close();
    // Not asked for its account: a server whose leader is being elected has no answer to that.
    const manager = await jetstreamManager(nc, { checkAPI: false });
    return { nc, client: jetstream(nc), manager };
  }

  /** Notes whether the connection is up, until the client gives it up. Never rejects. */
  async #watch(nc: NatsConnection): Promise<void> {
    for await (const { type } of nc.status()) {
      if (type === 'disconnect') this.#isUp = false;
      else if (type === 'reconnect') this.#isUp = true;
    }
    await nc.closed();
    this.#isUp = false;
    this.#session = undefined;
  }

  /**
   * Ends it after what was sent has left, and after messages that are on their way to a request that ended went
   * back: without that they would come again only after their acknowledgement time. Never rejects.
   *
   * @param timeoutMs for that
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
