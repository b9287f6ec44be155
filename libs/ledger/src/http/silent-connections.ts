import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** A client that has just connected may be about to ask: its request may be on the way. */
const SILENT_MS = 1000;

/**
 * Connections on which a client has not sent a byte: browsers and load balancers open some ahead of
 * need. `closeIdleConnections()` spares them, and a server that closes no longer looks at
 * `headersTimeout`, so that a single one would hold it open for as long as the client likes.
 *
 * @internal
 */
export class SilentConnections {
  /** By the monotonic clock, in milliseconds. */
  readonly #connectedAt = new Map<Socket, number>();

  /** To be called before the server listens. */
  watch(server: Server): void {
    const note = (socket: Socket): void => {
      this.#connectedAt.set(socket, performance.now());
      socket.once('close', () => this.#connectedAt.delete(socket));
    };
    // With TLS there are two of each: one may be silent before the handshake, one after it.
    server.on('connection', note).on('secureConnection', note);
  }

  /** Ends those that have been silent for a second. */
  close(): void {
    // After a blocked loop a timer comes before what has arrived meanwhile; this comes after it.
    setImmediate(() => {
      const now = performance.now();
      for (const [socket, connectedAt] of this.#connectedAt) {
        if (socket.bytesRead === 0 && now - connectedAt >= SILENT_MS) socket.destroy();
      }
    });
  }
}
