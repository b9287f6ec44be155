import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';

/** The part of `pg`'s Connection that a statement needs. Source: pg/lib/connection.js. @internal */
export interface PgConnection extends EventEmitter {
  /** Socket or TLS socket. An upgrade to TLS replaces it, so read it when needed. */
  readonly stream: Duplex;
}

/**
 * The part of `pg`'s Client that the sink needs. Source: pg/lib/client.js, 8.11 to 8.23.
 *
 * @internal
 */
export interface PgClient extends EventEmitter {
  query(statement: Submittable): unknown;
  /** Undefined for the native client, whose socket is not accessible. */
  readonly connection?: PgConnection;
  /** True if the client sends several queries at once; it then refuses Submittables. */
  readonly pipeline?: boolean;
  /** `I` idle, `T` in a transaction, `E` in a failed one, null before the first answer. */
  getTransactionStatus?(): 'I' | 'T' | 'E' | null;
}

/**
 * The methods that the client calls on the active query as the server's messages arrive.
 *
 * @internal
 */
export interface Submittable {
  /**
   * A client with `query_timeout` wraps it, calls it when that time is up, and clears its timer on
   * the call. Without a callback, `pg` 8.11 to 8.18 throw in the timer, and later versions keep the
   * timer for the whole time.
   */
  callback: () => void;
  /** Returns an error, and never throws, if nothing could be sent. */
  submit(connection: PgConnection): Error | null;
  handleRowDescription(): void;
  handleDataRow(message: { fields: (string | null)[] }): void;
  handleCommandComplete(message: { text: string }): void;
  handleEmptyQuery(): void;
  handlePortalSuspended(): void;
  handleCopyInResponse(connection: PgConnection): void;
  handleCopyData(): void;
  handleError(error: unknown): void;
  handleReadyForQuery(): void;
}
