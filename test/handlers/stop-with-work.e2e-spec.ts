import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { findFreePort } from '@app/embedded-postgres';
import { BullModule, Processor, WorkerHost } from '@nestjs/bullmq';
import { Controller, Injectable, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Field,
  GraphQLModule,
  ObjectType,
  Query,
  ResolveField,
  Resolver,
  Subscription,
} from '@nestjs/graphql';
import { ClientProxyFactory, EventPattern, MessagePattern, Transport } from '@nestjs/microservices';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { WsAdapter } from '@nestjs/platform-ws';
import { Cron, Interval, ScheduleModule } from '@nestjs/schedule';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { Queue } from 'bullmq';
import { createClient } from 'graphql-ws';
import { LedgerModule, LedgerService, RecordUsage, Usage, type UsageCall } from 'nestjs-ledger';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { concatMap, firstValueFrom, from, map as mapValues, timer, type Observable } from 'rxjs';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import WebSocket from 'ws';
import { defaultLedger } from '../../libs/ledger/src/define-ledger.js';
import { InMemorySink } from '../../libs/ledger/src/testing/in-memory.sink.js';
import { RowCodec } from '../../libs/ledger/src/codec/row-codec.js';
import { PATIENCE } from '../support/patience.js';
import { hasRedis, RedisServer } from '../support/redis-server.js';

/** Long enough for a stop to come in between. */
const WORK_MS = 200;
const pause = (ms = WORK_MS): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Draft {
  completionTokens?: number;
}

/** Begun and ended calls, so that a test stops in between. */
const begun: string[] = [];
const entryOf = ({ usage, end, context }: UsageCall) => ({
  userId: 1,
  ...usage,
  memo: `${context?.getType<string>() ?? 'none'} ${end}`,
});

async function count(name: string, draft: Draft): Promise<number> {
  begun.push(name);
  await pause();
  draft.completionTokens = 7;
  return 7;
}

async function* words(draft: Draft): AsyncGenerator<{ words: string }> {
  for (const word of ['one', 'two', 'three']) {
    begun.push(word);
    draft.completionTokens = (draft.completionTokens ?? 0) + 1;
    yield { words: word };
    await pause(40);
  }
}

let sink: InMemorySink;
const codec = new RowCodec(defaultLedger);

/** A whole application whose ledger writes into memory: all else is the real thing. */
async function start(metadata: {
  imports?: object[];
  controllers?: Type[];
  providers?: Type[];
}): Promise<NestFastifyApplication> {
  @Module({
    imports: [LedgerModule.forRoot({ sink, flushMs: 20 }), ...((metadata.imports ?? []) as [])],
    controllers: metadata.controllers ?? [],
    providers: metadata.providers ?? [],
  })
  class App {}
  return NestFactory.create<NestFastifyApplication>(App, new FastifyAdapter(), { logger: false });
}

function rows(): string[] {
  return [...sink.rows.values()].map((row) => {
    const { memo, completionTokens } = codec.decode(row);
    return `${String(memo)} ${String(completionTokens)}`;
  });
}

const hasBegun = (times = 1): Promise<void> =>
  vi.waitFor(() => expect(begun.length).toBeGreaterThanOrEqual(times), { timeout: 10_000 });

beforeEach(() => {
  begun.length = 0;
  sink = new InMemorySink();
});

describe('A stop in the middle of a message', () => {
  @Controller()
  class Messages {
    constructor(private readonly ledger: LedgerService) {}

    @MessagePattern('ask')
    @RecordUsage(entryOf)
    ask(@Usage() draft: Draft): Promise<number> {
      return count('ask', draft);
    }

    @EventPattern('told')
    @RecordUsage(entryOf)
    async told(@Usage() draft: Draft): Promise<void> {
      await count('told', draft);
    }

    @MessagePattern('many')
    @RecordUsage(entryOf)
    many(): Observable<number> {
      begun.push('many');
      return from([1, 2, 3]).pipe(concatMap((value) => timer(60).pipe(mapValues(() => value))));
    }

    @MessagePattern('ask plainly')
    async askPlainly(): Promise<void> {
      await count('ask plainly', {});
      this.ledger.record({ userId: 1, memo: 'plain' });
    }

    @EventPattern<string>('told plainly')
    async toldPlainly(): Promise<void> {
      await this.askPlainly();
    }
  }

  it.each([
    ['ask', ['rpc completed 7']],
    ['told', ['rpc completed 7']],
    ['many', [expect.stringMatching(/^rpc (completed|aborted) 0$/)]],
    ['ask plainly', ['plain 0']],
    ['told plainly', ['plain 0']],
  ])('writes what %s records', async (pattern, expected) => {
    const port = await findFreePort();
    const tcp = { transport: Transport.TCP as const, options: { host: '127.0.0.1', port } };
    const app = await start({ controllers: [Messages] });
    app.connectMicroservice(tcp);
    await app.startAllMicroservices();
    await app.init();
    const client = ClientProxyFactory.create(tcp);
    await client.connect();
    const sent = pattern.startsWith('told') ? client.emit(pattern, {}) : client.send(pattern, {});
    void firstValueFrom(sent, { defaultValue: undefined }).catch(() => undefined);
    await hasBegun();
    await app.close();
    client.close();
    expect(rows()).toEqual(expected);
  });
});

describe('A stop in the middle of a WebSocket message', () => {
  it.each([
    ['say', 'ws completed 7'],
    ['say plainly', 'plain 0'],
  ])('writes what %s records', async (event, row) => {
    const port = await findFreePort();
    @WebSocketGateway(port)
    class Gateway {
      constructor(private readonly ledger: LedgerService) {}

      @SubscribeMessage('say plainly')
      async sayPlainly(): Promise<void> {
        await count('say plainly', {});
        this.ledger.record({ userId: 1, memo: 'plain' });
      }

      @SubscribeMessage('say')
      @RecordUsage(entryOf)
      say(@Usage() draft: Draft): Promise<number> {
        return count('say', draft);
      }
    }
    const app = await start({ providers: [Gateway] });
    app.useWebSocketAdapter(new WsAdapter(app));
    await app.listen(0, '127.0.0.1');
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    await once(socket, 'open');
    socket.send(JSON.stringify({ event, data: 'bare text' }));
    await hasBegun();
    await app.close();
    socket.terminate();
    expect(rows()).toEqual([row]);
  });
});

describe('GraphQL', () => {
  @ObjectType()
  class Answer {
    @Field(() => String)
    text!: string;
    @Field(() => Number)
    tokens?: number;
  }

  @Resolver(() => Answer)
  class Answers {
    @Query(() => Answer)
    @RecordUsage(entryOf)
    async answer(@Usage() draft: Draft): Promise<Answer> {
      await count('answer', draft);
      return { text: 'a' };
    }

    @ResolveField(() => Number)
    @RecordUsage(entryOf)
    tokens(@Usage() draft: Draft): number {
      draft.completionTokens = 3;
      return 3;
    }

    @Subscription(() => String, { name: 'words' })
    @RecordUsage(entryOf)
    words(@Usage() draft: Draft): AsyncGenerator<{ words: string }> {
      return words(draft);
    }
  }

  const graphql = (): object =>
    GraphQLModule.forRoot<ApolloDriverConfig>({
      driver: ApolloDriver,
      autoSchemaFile: true,
      subscriptions: { 'graphql-ws': true },
    });

  async function listen(): Promise<{ app: NestFastifyApplication; address: string }> {
    const app = await start({ imports: [graphql()], providers: [Answers] });
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    return { app, address: `127.0.0.1:${port}/graphql` };
  }

  it('books a query and a field of its answer', async () => {
    const { app, address } = await listen();
    const body = JSON.stringify({ query: '{ answer { text tokens } }' });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`http://${address}`, { method: 'POST', headers, body });
    expect(await response.json()).toEqual({ data: { answer: { text: 'a', tokens: 3 } } });
    await app.close();
    expect(rows()).toEqual(['graphql completed 7', 'none completed 3']);
  });

  it('books a subscription when its stream ends, and one that its client left', async () => {
    const { app, address } = await listen();
    const client = createClient({ url: `ws://${address}`, webSocketImpl: WebSocket });
    let events = 0;
    for await (const event of client.iterate({ query: 'subscription { words }' })) {
      if (++events === 1) expect([event.errors, rows()]).toEqual([undefined, []]);
    }
    expect(events).toBe(3);
    await vi.waitFor(() => expect(rows()).toEqual(['graphql completed 3']), PATIENCE);
    const left = client.iterate({ query: 'subscription { words }' });
    await left.next();
    await left.return?.();
    await vi.waitFor(() => expect(rows()).toHaveLength(2), PATIENCE);
    expect(rows()[1]).toMatch(/^graphql aborted [12]$/);
    await client.dispose();
    await app.close();
  });
});

describe('A stop in the middle of scheduled work', () => {
  @Injectable()
  class Reports {
    @Interval(30)
    @RecordUsage(entryOf)
    often(@Usage() draft: Draft = {}): Promise<number> {
      return count('often', draft);
    }

    @Cron('* * * * * *')
    @RecordUsage(entryOf)
    each(@Usage() draft: Draft = {}): Promise<number> {
      return count('each', draft);
    }
  }

  it('writes what it records', async () => {
    const app = await start({ imports: [ScheduleModule.forRoot()], providers: [Reports] });
    await app.init();
    await vi.waitFor(() => expect(new Set(begun).size).toBe(2), { timeout: 5000 });
    await app.close();
    expect(rows()).toHaveLength(begun.length);
    expect(new Set(rows())).toEqual(new Set(['none completed 7']));
  });
});

describe.skipIf(!hasRedis)('A stop in the middle of jobs of BullMQ (redis-server)', () => {
  let redis: RedisServer;
  let connection: RedisServer['connection'];

  beforeAll(async () => {
    redis = await RedisServer.start();
    connection = redis.connection;
  });
  afterAll(() => redis.stop());

  @Processor('metered', { concurrency: 5 })
  class Metered extends WorkerHost {
    @RecordUsage(entryOf)
    process(_job: unknown, _token?: string, @Usage() draft: Draft = {}): Promise<number> {
      return count('metered', draft);
    }
  }

  @Processor('plain', { concurrency: 5 })
  class Plain extends WorkerHost {
    constructor(private readonly ledger: LedgerService) {
      super();
    }

    async process(): Promise<void> {
      await count('plain', {});
      await this.ledger.recordAndWait({ userId: 1, memo: 'plain' });
    }
  }

  it.each([
    ['metered', 'none completed 7'],
    ['plain', 'plain 0'],
  ])('ends %s jobs under way, writes their entries and begins no other', async (name, row) => {
    const bull = [BullModule.forRoot({ connection }), BullModule.registerQueue({ name })];
    const app = await start({ imports: bull, providers: [name === 'plain' ? Plain : Metered] });
    await app.init();
    const queue = new Queue(name, { connection });
    await queue.addBulk(Array.from({ length: 50 }, () => ({ name: 'work', data: {} })));
    await hasBegun(5);
    await app.close();
    expect(rows()).toEqual(Array.from(begun, () => row));
    expect(begun.length).toBeLessThan(50);
    expect(await queue.getJobCounts('active', 'failed')).toEqual({ active: 0, failed: 0 });
    await queue.obliterate({ force: true });
    await queue.close();
  });
});
