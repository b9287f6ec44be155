import 'reflect-metadata';
import { LoopbackProvider, OpenAiErrorFilter, openAiValidationPipe, Relay } from '@app/openai';
import {
  Module,
  type CallHandler,
  type DynamicModule,
  type ExecutionContext,
  type FactoryProvider,
  type NestInterceptor,
} from '@nestjs/common';
import { APP_FILTER, APP_PIPE, NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { getLedgerToken, LedgerModule, newEntryUuid, type LedgerService } from 'nestjs-ledger';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Observable } from 'rxjs';
import { DataSource } from 'typeorm';
import { createAdapter, createGateway, takeRequests } from '../../src/create-gateway.js';
import { GatewayDatabase } from '../../src/database/gateway-database.js';
import { readGatewaySettings } from '../../src/gateway-settings.js';
import { usage } from '../../src/usage.ledger.js';
import { inputOf, nextMessage, tell } from '../setup/child.js';
import { PlainChatController, WRITE_DOWN, type WriteDown } from './plain-chat.controller.js';

export interface GatewayInput {
  readonly url: string;
  /**
   * `empty`: an interceptor that does nothing. `handler`: no interceptor, the handler calls
   * `record()`. `insert`: each request awaits an INSERT with TypeORM, as in many applications.
   * `journaled`: like `handler`, with the journal that `on` has too.
   */
  readonly mode: 'off' | 'empty' | 'handler' | 'journaled' | 'on' | 'insert';
  /** Address of the upstream. Without it: the loopback provider. */
  readonly upstream?: string;
}

/** Connections of an application's pool. */
const POOL_SIZE = 10;

const DATA_DIR = join(tmpdir(), 'nestjs-ledger-bench-gateway');

const { url, mode, upstream } = inputOf<GatewayInput>();
const isRecordedByHandler = mode === 'handler' || mode === 'journaled';
const settings = readGatewaySettings({
  DATABASE_URL: url,
  DATA_DIR,
  UPSTREAM_BASE_URL: upstream && `${upstream}/v1`,
});

/** The cost of an interceptor that does nothing. */
class EmptyInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

@Module({})
class PlainModule {
  static with(writeDown: FactoryProvider<WriteDown>, imports: DynamicModule[]): DynamicModule {
    return {
      module: PlainModule,
      imports,
      controllers: [PlainChatController],
      providers: [
        { provide: Relay, useFactory: () => new Relay(new LoopbackProvider(0), 0) },
        writeDown,
        { provide: APP_PIPE, useValue: openAiValidationPipe },
        { provide: APP_FILTER, useClass: OpenAiErrorFilter },
      ],
    };
  }
}

const nothing = { provide: WRITE_DOWN, useFactory: (): WriteDown => async () => undefined };
const insertByHandler = { provide: WRITE_DOWN, useFactory: insertOne };
const recordByHandler = {
  provide: WRITE_DOWN,
  inject: [getLedgerToken(usage)],
  useFactory:
    (ledger: LedgerService<typeof usage>): WriteDown =>
    async (entry) =>
      void ledger.record(entry),
};

async function insertOne(): Promise<WriteDown> {
  const { entity } = usage;
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    entities: [entity],
    poolSize: POOL_SIZE,
  });
  await dataSource.initialize();
  const repository = dataSource.getRepository(entity);
  return async (entry) => {
    await repository.insert({
      userId: entry.userId,
      apiKeyId: entry.apiKeyId,
      model: entry.model,
      promptTokens: entry.promptTokens ?? 0,
      completionTokens: entry.completionTokens ?? 0,
      uuid: newEntryUuid(),
      direction: 'consume',
      createdAt: new Date(),
      costNanos: String(entry.costNanos),
    });
  };
}

async function createPlain(): Promise<NestFastifyApplication> {
  const journalDir = mode === 'journaled' ? join(DATA_DIR, 'handler-journal') : undefined;
  const module = isRecordedByHandler
    ? PlainModule.with(recordByHandler, [
        LedgerModule.forRoot({ ledger: usage, connection: { url }, journalDir }),
      ])
    : PlainModule.with(mode === 'insert' ? insertByHandler : nothing, []);
  const app = await NestFactory.create<NestFastifyApplication>(module, createAdapter(settings), {
    logger: false,
    bodyParser: false,
  });
  // Without the ledger, and otherwise equal to the gateway.
  takeRequests(app, settings);
  if (mode === 'empty') app.useGlobalInterceptors(new EmptyInterceptor());
  return app;
}

async function createFull(): Promise<NestFastifyApplication> {
  return createGateway(settings, await GatewayDatabase.open(settings), false);
}

const app = mode === 'on' ? await createFull() : await createPlain();
const hasLedger = mode === 'on' || isRecordedByHandler;
const ledger = hasLedger ? app.get<LedgerService>(getLedgerToken(usage)) : undefined;
await app.listen(0, '127.0.0.1');
tell({ url: await app.getUrl() });
for (;;) {
  const { isOver, isFlushed } = await nextMessage<{ isOver?: boolean; isFlushed?: boolean }>();
  if (isOver) break;
  if (isFlushed) await ledger?.flush();
  tell(process.cpuUsage());
}
await app.close();
process.exit(0);
