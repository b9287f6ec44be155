import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** A client that has just connected may be about to ask: its request may be on the way. */
const SILENT_MS = 1000;
/** A client that takes no whole write of its answer for so long is not waited for. */
const STUCK_MS = 5000;

/** Monotonic milliseconds, and bytes that the operating system has not taken yet. */
interface Connection {
  readonly connectedAt: number;
  unsent: number;
  unsentSince: number;
}

/**
 * Closes the connections that would hold a closing server open: `server.close()` ends those that are
 * idle at that moment, and waits for the rest for as long as their clients like.
 *
 * @internal
 */
export class OpenConnections {
  readonly #connections = new Map<Socket, Connection>();

  /** To be called before the server listens. */
  watch(server: Server): void {
    const note = (socket: Socket): void => {
      const now = performance.now();
      this.#connections.set(socket, { connectedAt: now, unsent: 0, unsentSince: now });
      socket.once('close', () => this.#connections.delete(socket));
    };
    // With TLS there are two of each: one may be silent before the handshake, one after it.
    server.on('connection', note).on('secureConnection', note);
  }

  /** From now on a connection ends with its next answer: a busy one need not be met while it is idle. */
  endAfterAnswers(server: Server): void {
    server.prependListener('request', (_request, response) => {
      if (!response.headersSent) response.setHeader('connection', 'close');
    });
  }

  /** Ends those that are idle, and those that were silent for a second. To be called again and again. */
  closeUnused(server: Server): void {
    // After a blocked loop a timer comes before what has arrived meanwhile; this comes after it.
    setImmediate(() => {
      const now = performance.now();
      // Node takes a connection for idle once its answer is complete, sent or not, and would cut it.
      if (!this.#isAnswering(now)) server.closeIdleConnections();
      for (const [socket, { connectedAt }] of this.#connections) {
        if (socket.bytesRead === 0 && now - connectedAt >= SILENT_MS) socket.destroy();
      }
    });
  }

  /** Whether a client is still being sent an answer: the server waits for it anyway. */
  #isAnswering(now: number): boolean {
    let isAnswering = false;
    for (const [socket, connection] of this.#connections) {
      if (connection.unsent !== socket.writableLength) {
        connection.unsent = socket.writableLength;
        connection.unsentSince = now;
      }
      isAnswering ||= connection.unsent > 0 && now - connection.unsentSince < STUCK_MS;
    }
    return isAnswering;
  }
}
