import { ClientProxyFactory, Transport, type ClientProxy } from '@nestjs/microservices';
import { createClient, type Client } from 'graphql-ws';
import { once } from 'node:events';
import { firstValueFrom } from 'rxjs';
import WebSocket from 'ws';
import type { HandlersApp } from './handlers-app.js';

/** Callers of each kind; each has one call in flight. */
const CALLERS = 5;

/** Clients that call an application, each again as soon as it has an answer, until a call fails. */
export class HandlersLoad {
  /** Memos of the calls that were answered in full. */
  readonly answered: string[] = [];
  readonly #rpc: ClientProxy;
  readonly #graphql: Client;
  readonly #sockets: WebSocket[] = [];
  #last = 0;
  #wasSentAway = false;
  #callers: Promise<unknown> = Promise.resolve();

  constructor(private readonly app: HandlersApp) {
    const options = { host: '127.0.0.1', port: app.ports.rpc };
    this.#rpc = ClientProxyFactory.create({ transport: Transport.TCP, options });
    const url = `ws://127.0.0.1:${app.ports.http}/graphql`;
    // Apollo holds a stop for ten seconds where a client comes back after it was sent away.
    const on = { closed: () => void (this.#wasSentAway = true) };
    this.#graphql = createClient({ url, webSocketImpl: WebSocket, retryAttempts: 0, on });
  }

  /** Every kind of call that a client makes. @param kinds those that are made; default: all */
  async start(kinds = Object.keys(this.#kinds)): Promise<void> {
    await this.#rpc.connect();
    const all = kinds.flatMap((kind) =>
      Array.from({ length: CALLERS }, () => this.#call(kind, this.#kinds[kind]!)),
    );
    this.#callers = Promise.all(all);
  }

  readonly #kinds: Record<string, (memo: string) => Promise<unknown>> = {
    http: (memo) => this.#post('metered', { memo }),
    'http-plain': (memo) => this.#post('plain', { memo }),
    rpc: (memo) => firstValueFrom(this.#rpc.send('ask', { memo })),
    'rpc-plain': (memo) => firstValueFrom(this.#rpc.send('ask plainly', { memo })),
    event: async (memo) => {
      await firstValueFrom(this.#rpc.emit('tell', { memo }), { defaultValue: undefined });
      await new Promise((resolve) => setTimeout(resolve, 100));
    },
    ws: (memo) => this.#say('say', memo),
    'ws-plain': (memo) => this.#say('say plainly', memo),
    query: (memo) => this.#post('graphql', { query: `{ look(memo: "${memo}") }` }),
    mutation: (memo) => this.#post('graphql', { query: `mutation { change(memo: "${memo}") }` }),
    subscription: async (memo) => {
      if (this.#wasSentAway) throw new Error('sent away');
      const events = this.#graphql.iterate({ query: `subscription { words(memo: "${memo}") }` });
      for await (const { errors } of events) if (errors) throw new Error(errors[0]?.message);
    },
  };

  async #call(kind: string, make: (memo: string) => Promise<unknown>): Promise<void> {
    for (;;) {
      const memo = `${kind} ${++this.#last}`;
      try {
        await make(memo);
      } catch {
        return;
      }
      // Nobody answers to an event.
      if (kind !== 'event') this.answered.push(memo);
    }
  }

  async #post(path: string, body: object): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.app.ports.http}/${path}`, {
      method: 'POST',
      // Apollo on Fastify would wait ten seconds for connections that are kept.
      headers: { 'content-type': 'application/json', connection: 'close' },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok || text.includes('"errors"')) throw new Error(text);
  }

  /** Each message on a socket of its own, whose one answer is the message's. */
  async #say(event: string, memo: string): Promise<void> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.app.ports.ws}`);
    this.#sockets.push(socket);
    await once(socket, 'open');
    socket.send(JSON.stringify({ event, data: { memo } }));
    const ended = once(socket, 'close').then(() => Promise.reject(new Error('closed')));
    await Promise.race([once(socket, 'message'), ended]).finally(() => {
      ended.catch(() => undefined);
      socket.terminate();
    });
  }

  /** Waits until every caller has met an error. */
  async ended(): Promise<void> {
    for (const socket of this.#sockets) socket.terminate();
    this.#rpc.close();
    await this.#graphql.dispose();
    await this.#callers;
  }
}
