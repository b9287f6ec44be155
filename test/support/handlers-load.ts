import { ClientProxyFactory, Transport, type ClientProxy } from '@nestjs/microservices';
import { createClient, type Client } from 'graphql-ws';
import { once } from 'node:events';
import { firstValueFrom } from 'rxjs';
import WebSocket from 'ws';
import type { HandlersApp } from './handlers-app.js';

/** Clients that call an application, each again as soon as it has an answer, until a call fails. */
export class HandlersLoad {
  /** Memos of the calls that were answered in full. */
  readonly answered: string[] = [];
  readonly #rpc: ClientProxy;
  readonly #graphql: Client;
  readonly #sockets = new Set<WebSocket>();
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

  /**
   * @param kinds of calls; those that no client makes are left out
   * @param callers of each kind; each has one call under way
   */
  start(kinds: readonly string[], callers: number): void {
    const calls = kinds.flatMap((kind) => {
      const make = this.#kinds[kind];
      return make ? Array.from({ length: callers }, () => this.#call(kind, make)) : [];
    });
    this.#callers = Promise.all(calls);
  }

  readonly #kinds: Record<string, (memo: string) => Promise<unknown>> = {
    http: (memo) => this.#post('metered', { memo }),
    'http-plain': (memo) => this.#post('plain', { memo }),
    rpc: (memo) => firstValueFrom(this.#rpc.send('ask', { memo })),
    'rpc-plain': (memo) => firstValueFrom(this.#rpc.send('ask plainly', { memo })),
    event: (memo) => this.#emit('tell', memo),
    'event-plain': (memo) => this.#emit('tell plainly', memo),
    ws: (memo) => this.#say('say', memo),
    'ws-plain': (memo) => this.#say('say plainly', memo),
    query: (memo) => this.#post('graphql', { query: `{ look(memo: "${memo}") }` }),
    mutation: (memo) => this.#post('graphql', { query: `mutation { change(memo: "${memo}") }` }),
    subscription: (memo) => this.#subscribe('words', memo),
    'subscription-plain': (memo) => this.#subscribe('plainWords', memo),
  };

  async #call(kind: string, make: (memo: string) => Promise<unknown>): Promise<void> {
    while (!this.app.isStopped) {
      const memo = `${kind} ${++this.#last}`;
      try {
        await make(memo);
      } catch {
        return;
      }
      if (!kind.startsWith('event')) this.answered.push(memo);
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

  /** Nobody answers an event, so its end is what the application says. */
  async #emit(event: string, memo: string): Promise<void> {
    await firstValueFrom(this.#rpc.emit(event, { memo }), { defaultValue: undefined });
    await this.app.until(() => this.app.ended.has(memo) || this.app.isStopped);
  }

  async #subscribe(field: string, memo: string): Promise<void> {
    if (this.#wasSentAway) throw new Error('sent away');
    const events = this.#graphql.iterate({ query: `subscription { ${field}(memo: "${memo}") }` });
    for await (const { errors } of events) if (errors) throw new Error(errors[0]?.message);
  }

  /** Each message on a socket of its own, whose one answer is the message's. */
  async #say(event: string, memo: string): Promise<void> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.app.ports.ws}`);
    this.#sockets.add(socket);
    await once(socket, 'open');
    socket.send(JSON.stringify({ event, data: { memo } }));
    const ended = once(socket, 'close').then(() => Promise.reject(new Error('closed')));
    await Promise.race([once(socket, 'message'), ended]).finally(() => {
      ended.catch(() => undefined);
      socket.terminate();
      this.#sockets.delete(socket);
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
