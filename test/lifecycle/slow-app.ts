import {
  Controller,
  Get,
  Global,
  Module,
  Post,
  Query,
  StreamableFile,
  UseInterceptors,
  type INestApplication,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  LedgerInterceptor,
  LedgerModule,
  LedgerService,
  RecordUsage,
  defineLedger,
  type UsageCall,
} from 'nestjs-ledger';
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * An application with slow handlers, started as a process of its own by the lifecycle tests.
 * Environment: DATABASE, SCHEMA, ADAPTER (fastify | express), POOL (own | application), END
 * (signal | close), HOOKS (on | off), SHUTDOWN_MS.
 */
const { DATABASE, SCHEMA, ADAPTER, POOL, END, HOOKS, SHUTDOWN_MS } = process.env;
const usage = defineLedger({ schema: SCHEMA! });

const HANDLER_MS = 300;
const STREAM_MS = 3000;
const STREAM_PIECES = 30;
/** More than both sockets' buffers take, so that it stays with the server until it is read. */
const LARGE_BYTES = 20_000_000;

/** Each request names its entry, so that the test can look for exactly that row. */
function entryOf({ context }: UsageCall): { userId: number; uuid: string; memo: string } {
  const request: { query: { uuid: string } } = context!.switchToHttp().getRequest();
  return { userId: 1, uuid: request.query.uuid, memo: 'slow' };
}

@Controller()
@UseInterceptors(LedgerInterceptor)
class SlowController {
  constructor(private readonly ledger: LedgerService<typeof usage>) {}

  @Post('record')
  async record(
    @Query('uuid') uuid: string,
    @Query('ms') ms = `${HANDLER_MS}`,
  ): Promise<{ outcome: string }> {
    await pause(Number(ms));
    return { outcome: this.ledger.record({ userId: 1, uuid, memo: 'slow' }) };
  }

  @Post('decorated')
  @RecordUsage(entryOf)
  async decorated(): Promise<{ done: true }> {
    await pause(HANDLER_MS);
    return { done: true };
  }

  @Get('large')
  @RecordUsage(entryOf)
  async large(@Query('ms') ms: string): Promise<string> {
    await pause(Number(ms));
    return 'x'.repeat(LARGE_BYTES);
  }

  @Get('stream')
  @RecordUsage(entryOf)
  stream(): StreamableFile {
    return new StreamableFile(Readable.from(pieces()));
  }
}

async function* pieces(): AsyncGenerator<Buffer> {
  for (let piece = 0; piece < STREAM_PIECES; piece++) {
    await pause(STREAM_MS / STREAM_PIECES);
    yield Buffer.from(`piece ${piece}\n`);
  }
}

/** Global modules have their last hooks last: this one sees the ledger's final figures. */
class LastWords {
  constructor(private readonly ledger: LedgerService<typeof usage>) {}

  onApplicationShutdown(): void {
    process.stdout.write(`STATS ${JSON.stringify(this.ledger.stats())}\n`);
  }
}

@Global()
@Module({
  providers: [{ provide: LastWords, inject: [LedgerService], useFactory: makeLastWords }],
})
class LastWordsModule {}

function makeLastWords(ledger: LedgerService<typeof usage>): LastWords {
  return new LastWords(ledger);
}

const isOwn = POOL === 'own';
const shutdownTimeoutMs = Number(SHUTDOWN_MS ?? 5000);

@Module({
  imports: [
    LastWordsModule,
    LedgerModule.forRoot({
      ledger: usage,
      isGlobal: true,
      shutdownTimeoutMs,
      migrations: 'run',
      numWorkers: 2,
      ...(isOwn && { connection: { url: DATABASE! } }),
    }),
    ...(isOwn ? [] : [TypeOrmModule.forRoot({ type: 'postgres', url: DATABASE! })]),
  ],
  controllers: [SlowController],
})
class SlowAppModule {}

const adapter = ADAPTER === 'express' ? new ExpressAdapter() : new FastifyAdapter();
const app: INestApplication = await NestFactory.create(SlowAppModule, adapter);
if (HOOKS !== 'off') app.enableShutdownHooks();
await app.listen(0, '127.0.0.1');
process.stdout.write(`listens on ${await app.getUrl()}\n`);
if (END === 'close') {
  // A message on stdin stands for whatever makes an application close itself.
  process.stdin.once('data', () => {
    void app.close().then(() => process.stdin.destroy());
  });
}
