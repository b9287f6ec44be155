import type { Socket } from 'node:net';

/** All who wait for the end of one connection, on its socket. */
const WATCHES = Symbol('nestjs-ledger connection watches');

interface Watches {
  first: ConnectionWatch | undefined;
  last: ConnectionWatch | undefined;
}

type Watched = Socket & { [WATCHES]?: Watches };

/**
 * One who waits for the end of a connection, as a link of the connection's list. A client chooses how many
 * requests it pipelines on one, so they share a single listener: with one each Node would warn of a leak,
 * and removing them be quadratic. The listener stays for the connection's next request.
 *
 * A list and no `Set`: to hash what comes and goes with each request took 0.4 µs of CPU, a
 * fifth of all metering.
 *
 * @internal
 */
export class ConnectionWatch {
  private before: ConnectionWatch | undefined = undefined;
  private after: ConnectionWatch | undefined = undefined;
  private isOpen = true;

  private constructor(
    private readonly watches: Watches,
    private readonly callback: () => void,
  ) {
    const { last } = watches;
    if (last === undefined) watches.first = this;
    else {
      this.before = last;
      last.after = this;
    }
    watches.last = this;
  }

  /** @param callback called once, when the connection closes */
  static on(socket: Socket, callback: () => void): ConnectionWatch {
    return new ConnectionWatch((socket as Watched)[WATCHES] ?? listen(socket), callback);
  }

  /** Ends it; calling it again, or after the callback, does nothing. */
  end(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    const { watches, before, after } = this;
    if (before === undefined) watches.first = after;
    else before.after = after;
    if (after === undefined) watches.last = before;
    else after.before = before;
  }

  /** In the order in which they came; a callback may end others. @internal */
  static closed(watches: Watches): void {
    for (let watch = watches.first; watch !== undefined; watch = watches.first) {
      watch.end();
      watch.callback();
    }
  }
}

function listen(socket: Watched): Watches {
  const watches: Watches = { first: undefined, last: undefined };
  socket[WATCHES] = watches;
  socket.once('close', () => ConnectionWatch.closed(watches));
  return watches;
}
