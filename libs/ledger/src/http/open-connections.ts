import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer, type TLSSocket } from 'node:tls';

/** A client that has just connected may be about to ask: its request may be on the way. */
const SILENT_MS = 1000;
/** A client that takes nothing of its answer, or sends nothing of its request, is not waited for. */
const STUCK_MS = 5000;

/** Times are monotonic milliseconds. */
interface Connection {
  readonly connectedAt: number;
  /** HTTP/2 has requests of its own, and below TLS there is a connection that has none. */
  readonly carriesHttp1: boolean;
  /** The last one that was begun. */
  response: ServerResponse | undefined;
  /** Bytes that the operating system has not taken yet. */
  unsent: number;
  unsentSince: number;
  read: number;
  readSince: number;
}

/**
 * Closes the connections that would hold a closing server open: `server.close()` ends those that are
 * idle at that moment, and waits for the rest for as long as their clients like.
 *
 * @internal
 */
export class OpenConnections {
  static readonly #byServer = new WeakMap<Server, OpenConnections>();
  readonly #connections = new Map<Socket, Connection>();
  #isEnding = false;

  /** One for all ledgers of an application. To be called first before the server listens. */
  static of(server: Server): OpenConnections {
    const known = OpenConnections.#byServer.get(server);
    if (known !== undefined) return known;
    const connections = new OpenConnections(server);
    OpenConnections.#byServer.set(server, connections);
    return connections;
  }

  private constructor(private readonly server: Server) {
    // With TLS there are two of each: one may be silent before the handshake, one after it.
    const isTls = server instanceof TlsServer;
    server.on('connection', (socket: Socket) => this.#note(socket, !isTls));
    server.on('secureConnection', (socket: TLSSocket) => {
      this.#note(socket, socket.alpnProtocol !== 'h2');
    });
    server.prependListener('request', (request, response) => {
      const connection = this.#connections.get(request.socket);
      if (connection) connection.response = response;
    });
  }

  #note(socket: Socket, carriesHttp1: boolean): void {
    const now = performance.now();
    const since = { connectedAt: now, unsentSince: now, readSince: now };
    const nothing = { response: undefined, unsent: 0, read: 0 };
    this.#connections.set(socket, { ...since, ...nothing, carriesHttp1 });
    socket.once('close', () => this.#connections.delete(socket));
  }

  /** From now on a connection ends with its next answer: a busy one need not be met while it is idle. */
  endAfterAnswers(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.server.prependListener('request', (_request, response) => {
      if (!response.headersSent) response.setHeader('connection', 'close');
    });
  }

  /**
   * Ends those that are idle, those that were silent for a second, and those whose request has come
   * no further for five. To be called again and again.
   */
  closeUnused(): void {
    // After a blocked loop a timer comes before what has arrived meanwhile; this comes after it.
    setImmediate(() => {
      const now = performance.now();
      // Node takes a connection for idle once its answer is complete, sent or not, and would cut it.
      if (!this.#isAnswering(now)) this.server.closeIdleConnections();
      // What came of such a connection since its last answer need not be a request.
      const canUpgrade = ['upgrade', 'connect'].some((name) => this.server.listenerCount(name) > 0);
      for (const [socket, connection] of this.#connections) {
        const isStuck =
          hasStopped(socket, connection, now) && isAsking(socket, connection, canUpgrade);
        if (isStuck || isSilent(socket, connection, now)) socket.destroy();
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

function isSilent(socket: Socket, { connectedAt }: Connection, now: number): boolean {
  return socket.bytesRead === 0 && now - connectedAt >= SILENT_MS;
}

/** Whether nothing came or went for too long. */
function hasStopped(socket: Socket, connection: Connection, now: number): boolean {
  if (connection.read !== socket.bytesRead) {
    connection.read = socket.bytesRead;
    connection.readSince = now;
  }
  return connection.unsent === 0 && now - connection.readSince >= STUCK_MS;
}

/** Whether the server waits for the rest of a request, and for nothing else. */
function isAsking(
  socket: Socket,
  { carriesHttp1, response }: Connection,
  canUpgrade: boolean,
): boolean {
  if (!carriesHttp1) return false;
  // Not idle, since those were closed: there is some of a request's headers.
  if (response === undefined || response.closed) return !canUpgrade;
  const isBehindAnother = response.socket !== socket;
  if (isBehindAnother || response.headersSent) return false;
  const { req: request } = response;
  // Of a body that nobody reads it is not the client who keeps the rest back.
  return !request.complete && request.readableLength === 0 && !request.isPaused();
}
