import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer, type TLSSocket } from 'node:tls';
import { realTimers } from '../clock/real-timers.js';

/** Grace time in which the first request of a new connection may arrive. */
const SILENT_MS = 1000;
/**
 * Time after which a client that neither reads its response nor sends its request is disconnected.
 */
const STUCK_MS = 5000;
/** The last connections of a closed server report their end within some turns of the event loop. */
const CLOSED_MS = 500;

/** Node's own diagnostics channels, because a response may begin without the event `request`. */
const STARTED = 'http.server.request.start';
const FINISHED = 'http.server.response.finish';

/** Times are monotonic milliseconds. */
interface Connection {
  readonly connectedAt: number;
  /** HTTP/2 has its own requests, and the connection below TLS has none. */
  readonly carriesHttp1: boolean;
  /** Bytes since its last response need not be a request. */
  readonly canUpgrade: boolean;
  /** The last response that was begun, until it is finished. */
  response: ServerResponse | undefined;
  /** Bytes that the operating system has not accepted yet. */
  unsent: number;
  unsentSince: number;
  read: number;
  readSince: number;
}

/**
 * Closes the connections that would keep a closing server open. `server.close()` ends those that
 * are idle at that moment, and waits for the others without a limit.
 *
 * @internal
 */
export class OpenConnections {
  static readonly #byServer = new WeakMap<Server, OpenConnections>();
  readonly #connections = new Map<Socket, Connection>();
  #isEnding = false;

  /** One for all ledgers of an application. The first call must precede `listen`. */
  static of(server: Server): OpenConnections {
    const known = OpenConnections.#byServer.get(server);
    if (known !== undefined) return known;
    const connections = new OpenConnections(server);
    OpenConnections.#byServer.set(server, connections);
    return connections;
  }

  private constructor(private readonly server: Server) {
    // With TLS each connection has two sockets: one may be silent before the handshake, the other
    // after it.
    const isTls = server instanceof TlsServer;
    server.on('connection', (socket: Socket) => this.#note(socket, !isTls));
    server.on('secureConnection', (socket: TLSSocket) => {
      this.#note(socket, socket.alpnProtocol !== 'h2');
    });
    server.on('listening', () => {
      subscribe(STARTED, this.#started);
      subscribe(FINISHED, this.#finished);
    });
    server.on('close', () => {
      unsubscribe(STARTED, this.#started);
      unsubscribe(FINISHED, this.#finished);
    });
  }

  #note(socket: Socket, carriesHttp1: boolean): void {
    const now = realTimers.monotonic();
    const since = { connectedAt: now, unsentSince: now, readSince: now };
    const nothing = { response: undefined, unsent: 0, read: 0 };
    const canUpgrade = this.#canUpgrade;
    this.#connections.set(socket, { ...since, ...nothing, carriesHttp1, canUpgrade });
    socket.once('close', () => this.#connections.delete(socket));
  }

  get #canUpgrade(): boolean {
    return ['upgrade', 'connect'].some((name) => this.server.listenerCount(name) > 0);
  }

  readonly #started = (message: unknown): void => {
    const { socket, response } = message as { socket: Socket; response: ServerResponse };
    const connection = this.#connections.get(socket);
    if (connection) connection.response = response;
  };

  /** An idle connection must not keep the memory of its last request. */
  readonly #finished = (message: unknown): void => {
    const { socket, response } = message as { socket: Socket; response: ServerResponse };
    const connection = this.#connections.get(socket);
    if (connection?.response === response) connection.response = undefined;
  };

  /**
   * From now on a connection ends with its next response, so that a busy one need not be found
   * idle.
   */
  endAfterAnswers(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.server.prependListener('request', (_request, response) => {
      if (!response.headersSent) response.setHeader('connection', 'close');
    });
  }

  /**
   * Ends connections that are idle, that have been silent for a second, or whose request has made
   * no progress for five. Called repeatedly.
   */
  closeUnused(): void {
    // After a blocked event loop, timers run before newly arrived data is read; this runs after it.
    realTimers.setImmediate(() => {
      const now = realTimers.monotonic();
      // Node considers a connection idle once its response is complete, even if it is not sent, and
      // would cut it off.
      if (!this.#isAnswering(now)) this.server.closeIdleConnections();
      for (const [socket, connection] of this.#connections) {
        const isStuck = hasStopped(socket, connection, now) && this.#isAsking(socket, connection);
        if (isStuck || isSilent(socket, connection, now)) socket.destroy();
      }
    });
  }

  /** Whether a response is being sent; the server waits for it anyway. */
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

  /** Whether the server waits only for the rest of a request. */
  #isAsking(socket: Socket, { carriesHttp1, canUpgrade, response }: Connection): boolean {
    if (!carriesHttp1) return false;
    // Not idle, because idle ones were closed: part of a request's headers has arrived.
    if (response === undefined) return !canUpgrade && !this.#canUpgrade;
    const isBehindAnother = response.socket !== socket;
    if (isBehindAnother || response.headersSent) return false;
    const { req: request } = response;
    // If the application does not read the body, the client is not the one that stalls.
    const isRead = !request.isPaused() || request.listenerCount('readable') > 0;
    return !request.complete && request.readableLength === 0 && isRead;
  }

  /**
   * Resolves when all connections of a closed server have reported their end. The server reports
   * its own two turns of the event loop before its last connections, whose calls are then over.
   */
  async allGone(): Promise<void> {
    const end = realTimers.monotonic() + CLOSED_MS;
    await realTimers.turn();
    while (this.#connections.size > 0 && realTimers.monotonic() < end) await realTimers.pause(1);
    await realTimers.turn();
  }
}

function isSilent(socket: Socket, { connectedAt }: Connection, now: number): boolean {
  return socket.bytesRead === 0 && now - connectedAt >= SILENT_MS;
}

/** Whether no byte was sent or received for too long. */
function hasStopped(socket: Socket, connection: Connection, now: number): boolean {
  if (connection.read !== socket.bytesRead) {
    connection.read = socket.bytesRead;
    connection.readSince = now;
  }
  return connection.unsent === 0 && now - connection.readSince >= STUCK_MS;
}
