import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { CopyWatch, type Strike } from './copy-watch.js';

/** A server on a free port of this machine that speaks for a database. */
export interface FakeServer {
  /** The database's connection string, but with this server's address. */
  readonly url: string;
  /** Sockets that clients have open here. */
  readonly open: ReadonlySet<Socket>;
  /** Stops listening and ends every connection. */
  close(): Promise<void>;
}

/**
 * What becomes of the connection that is struck: both ends closed, both reset, silence in both
 * directions, or only one end closed while the other never hears of it.
 */
export const STRIKE_ACTS = ['cut', 'reset', 'swallow', 'lose-server', 'lose-client'] as const;
export type StrikeAct = (typeof STRIKE_ACTS)[number];

/** Stands between client and server: it listens in, delays, throttles, breaks and falls silent. */
export interface TcpProxy extends FakeServer {
  readonly port: number;
  /** All that clients sent, as latin1; the first 16 MiB of it. */
  sent(): string;
  /** Bytes from clients to the server so far. */
  readonly sentBytes: number;
  /** Called with `sentBytes` after each piece from a client was passed on. */
  onSent: ((bytes: number) => void) | undefined;
  /** While true nothing passes in either direction; connections that met it stay dead. */
  isFrozen: boolean;
  /** Each piece waits so long, in both directions. */
  delayMs: number;
  /** How fast clients may send; undefined: as fast as they like. */
  bytesPerSecond: number | undefined;
  /** Resets all connections. */
  reset(): void;
  /**
   * Strikes the first connection whose COPY comes to a point.
   *
   * @param act what becomes of it; a function is called, and the connection stays silent
   * @returns resolves when it was struck
   */
  strike(at: Strike, act: StrikeAct | (() => void)): Promise<void>;
}

interface Armed {
  readonly at: Strike;
  readonly act: StrikeAct | (() => void);
  readonly struck: () => void;
}

/** A server notices a dead client by TCP's keepalive; after 25 s in the ledger's sessions, here at once. */
const KEEPALIVE_MS = 1000;
const MAX_SENT_BYTES = 16 * 1_048_576;

/** Accepts connections and says nothing. */
export async function startSilentServer(databaseUrl: string): Promise<FakeServer> {
  return (await listen(databaseUrl, 0, () => {})).server;
}

/** @param port where to listen; default any that is free */
export async function startTcpProxy(databaseUrl: string, port = 0): Promise<TcpProxy> {
  const { hostname, port: target } = new URL(databaseUrl);
  const links = new Set<Link>();
  const state: ProxyState = {
    isFrozen: false,
    delayMs: 0,
    bytesPerSecond: undefined,
    onSent: undefined,
    sentBytes: 0,
    pieces: [],
    armed: undefined,
  };
  const { server, port: listeningOn } = await listen(databaseUrl, port, (client) => {
    const link = new Link(client, connect(Number(target || 5432), hostname), state);
    links.add(link);
    link.onGone = () => links.delete(link);
  });
  return Object.assign(state, {
    url: server.url,
    open: server.open,
    port: listeningOn,
    sent: () => Buffer.concat(state.pieces).toString('latin1'),
    reset: () => links.forEach((link) => link.end('reset')),
    strike: (at: Strike, act: Armed['act']) =>
      new Promise<void>((struck) => (state.armed = { at, act, struck })),
    async close() {
      links.forEach((link) => link.end('cut'));
      await server.close();
    },
  });
}

/** What all connections of a proxy share. */
interface ProxyState {
  isFrozen: boolean;
  delayMs: number;
  bytesPerSecond: number | undefined;
  onSent: ((bytes: number) => void) | undefined;
  sentBytes: number;
  readonly pieces: Buffer[];
  armed: Armed | undefined;
}

/** One client's connection and its counterpart to the server. */
class Link {
  onGone: () => void = () => {};
  readonly #watch = new CopyWatch();
  /** Silent for good, in both directions. */
  #isDead: boolean;

  constructor(
    private readonly client: Socket,
    private readonly upstream: Socket,
    private readonly state: ProxyState,
  ) {
    this.#isDead = state.isFrozen;
    this.#pass(client, upstream, (data) => this.#look(data));
    this.#pass(upstream, client, (data) => data);
  }

  #pass(from: Socket, to: Socket, look: (data: Buffer) => Buffer | undefined): void {
    let turn: Promise<void> | undefined;
    from.on('data', (data: Buffer) => {
      const { delayMs, bytesPerSecond } = this.state;
      this.#isDead ||= this.state.isFrozen;
      if (this.#isDead) return;
      const rest = look(data);
      if (rest === undefined) return;
      const isSlow = from === this.client && bytesPerSecond !== undefined;
      const ms = delayMs + (isSlow ? (rest.length * 1000) / bytesPerSecond : 0);
      if (ms === 0 && turn === undefined) {
        if (!to.write(rest)) this.#holdBack(from, to);
        if (from === this.client) this.state.onSent?.(this.state.sentBytes);
        return;
      }
      from.pause();
      turn = (turn ?? Promise.resolve())
        .then(() => delay(ms))
        .then(() => {
          if (!this.#isDead) to.write(rest);
          turn = undefined;
          from.resume();
        });
    });
    from.on('error', () => {});
    from.on('close', () => {
      this.#isDead ||= this.state.isFrozen;
      // A silent network passes on no end of a connection either.
      if (!this.#isDead) to.end(() => to.destroy());
      if (this.client.destroyed && this.upstream.destroyed) this.onGone();
    });
  }

  #holdBack(from: Socket, to: Socket): void {
    from.pause();
    to.once('drain', () => from.resume());
  }

  /** @returns what is passed on; undefined if the strike took care of it */
  #look(data: Buffer): Buffer | undefined {
    const { state } = this;
    if (state.sentBytes < MAX_SENT_BYTES) state.pieces.push(data);
    state.sentBytes += data.length;
    const at = this.#watch.feed(data, state.armed?.at);
    if (at === undefined || state.armed === undefined) return data;
    const { act, struck } = state.armed;
    state.armed = undefined;
    this.#isDead = true;
    this.upstream.write(data.subarray(0, at), () => {
      if (typeof act === 'function') act();
      else this.end(act);
      struck();
    });
    return undefined;
  }

  end(act: StrikeAct): void {
    const { client, upstream } = this;
    if (act === 'cut' || act === 'lose-client') client.destroy();
    if (act === 'cut' || act === 'lose-server') upstream.destroy();
    if (act === 'swallow' || act === 'lose-client') {
      setTimeout(() => upstream.destroy(), KEEPALIVE_MS).unref();
    }
    if (act === 'reset') for (const socket of [client, upstream]) socket.resetAndDestroy();
  }
}

async function listen(
  databaseUrl: string,
  wantedPort: number,
  onSocket: (socket: Socket) => void,
): Promise<{ server: FakeServer; port: number }> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => {});
    socket.resume();
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(wantedPort, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  const fake = {
    url: url.href,
    open,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
  return { server: fake, port };
}
