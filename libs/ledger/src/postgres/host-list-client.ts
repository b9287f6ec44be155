import type { HostList } from './host-list.js';
import type { ClientClass, SearchingClient } from './javascript-client.js';

/**
 * Source: `target_session_attrs` of libpq, which uses the same query for servers below version 14.
 */
const QUESTION = `SELECT pg_catalog.pg_is_in_recovery() AS standby,
  pg_catalog.current_setting('transaction_read_only') = 'on' AS readonly`;

/** A connection may end during the check, before any other listener for its errors exists. */
const ignore = (): void => {};

/**
 * A client for `pg`'s pool that connects to the next server of a list, and counts as connected only
 * if that server has the required property. One client tries one server; `PgConnections` makes the
 * next try.
 *
 * @internal
 */
export function hostListClient(Base: ClientClass, list: HostList): ClientClass {
  return class extends Base {
    readonly #place;

    constructor(options: object) {
      const place = list.next;
      const { password } = options as { password?: unknown };
      const { host, port } = place;
      // The pool hides the password from copies.
      super({ ...options, password, host, port: Number(port) });
      this.#place = place;
      this.on('error', ignore);
    }

    override connect(callback?: (error?: Error) => void): Promise<SearchingClient> | undefined {
      const connected = this.#connect(super.connect.bind(this));
      if (callback === undefined) return connected.then(() => this);
      connected.then(
        // An error thrown by the pool must not reject this promise.
        () => process.nextTick(callback),
        (error: Error) => process.nextTick(callback, error),
      );
      return undefined;
    }

    async #connect(connect: () => Promise<unknown> | undefined): Promise<void> {
      try {
        await connect();
        if (list.wanted !== 'any') await this.#check();
        list.accept(this.#place);
      } catch (error) {
        list.refuse(this.#place, error as Error);
        // The pool forgets a client that failed to connect, but this one may have a connection.
        void this.end().catch(() => undefined);
        throw error;
      }
    }

    async #check(): Promise<void> {
      const { rows } = await this.query(QUESTION);
      const { standby, readonly } = rows[0]!;
      if (standby) throw new Error('is a standby');
      if (readonly && list.wanted === 'read-write') throw new Error('is read-only');
    }
  };
}
