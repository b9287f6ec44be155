import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer, type TLSSocket } from 'node:tls';
import { realTimers } from '../clock/real-timers.js';

/** A client that has just connected may be about to ask: its request may be on the way. */
const SILENT_MS = 1000;
/** A client that takes nothing of its answer, or sends nothing of its request, is not waited for. */
const STUCK_MS = 5000;
/** The last connections of a closed server tell of their end within turns of the event loop. */
const CLOSED_MS = 500;

/** Node's own channels: an answer may begin otherwise than by the event `request`. */
const STARTED = 'http.server.request.start';
const FINISHED = 'http.server.response.finish';

/** Times are monotonic milliseconds. */
interface Connection {
  readonly connectedAt: number;
  /** HTTP/2 has requests of its own, and below TLS there is a connection that has none. */
  readonly carriesHttp1: boolean;
  /** What came since its last answer need not be a request. */
  readonly canUpgrade: boolean;
  /** The last one that was begun, until it is finished. */
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
    realTimers.setImmediate(() => {
      const now = realTimers.monotonic();
      // Node takes a connection for idle once its answer is complete, sent or not, and would cut it.
      if (!this.#isAnswering(now)) this.server.closeIdleConnections();
      for (const [socket, connection] of this.#connections) {
        const isStuck = hasStopped(socket, connection, now) && this.#isAsking(socket, connection);
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

  /** Whether the server waits for the rest of a request, and for nothing else. */
  #isAsking(socket: Socket, { carriesHttp1, canUpgrade, response }: Connection): boolean {
    if (!carriesHttp1) return false;
    // Not idle, since those were closed: there is some of a request's headers.
    if (response === undefined) return !canUpgrade && !this.#canUpgrade;
    const isBehindAnother = response.socket !== socket;
    if (isBehindAnother || response.headersSent) return false;
    const { req: request } = response;
    // Of a body that nobody reads it is not the client who keeps the rest back.
    const isRead = !request.isPaused() || request.listenerCount('readable') > 0;
    return !request.complete && request.readableLength === 0 && isRead;
  }

  /**
   * Resolves when all connections of a closed server have told of their end: the server does so two
   * turns of the event loop before the last of them, whose calls then are over.
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

/** Whether nothing came or went for too long. */
function hasStopped(socket: Socket, connection: Connection, now: number): boolean {
  if (connection.read !== socket.bytesRead) {
    connection.read = socket.bytesRead;
    connection.readSince = now;
  }
  return connection.unsent === 0 && now - connection.readSince >= STUCK_MS;
}
