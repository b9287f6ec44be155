import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';

/** What of `pg`'s Connection a statement needs. Source: pg/lib/connection.js. @internal */
export interface PgConnection extends EventEmitter {
  /** Socket or TLS socket; another object after an upgrade to TLS, so it is read when needed. */
  readonly stream: Duplex;
}

/** What of `pg`'s Client the sink needs. Source: pg/lib/client.js, 8.11 to 8.23. @internal */
export interface PgClient extends EventEmitter {
  query(statement: Submittable): unknown;
  /** Undefined for the native client, which can't be written to directly. */
  readonly connection?: PgConnection;
  /** True if the client was told to send several queries at once; it refuses Submittables then. */
  readonly pipeline?: boolean;
  /** `I` idle, `T` in a transaction, `E` in a failed one, null before the first answer. */
  getTransactionStatus?(): 'I' | 'T' | 'E' | null;
}

/** What the client calls on the active query as the server's messages arrive. @internal */
export interface Submittable {
  /**
   * A client with `query_timeout` wraps it, calls it when that time is up, and clears its timer when it is
   * called: without one, `pg` 8.11 to 8.18 throw in the timer, and later ones keep it for the whole time.
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
