import {
  ConsoleLogger,
  Controller,
  Get,
  Module,
  Query,
  Res,
  Sse,
  StreamableFile,
  type MessageEvent,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  createLedgerConfig,
  defineLedger,
  LedgerModule,
  LedgerService,
  RecordUsage,
  type UsageCall,
} from 'nestjs-ledger';
import { openSync, writeSync } from 'node:fs';
import type { Server } from 'node:http';
import { Readable } from 'node:stream';
import { from, map, type Observable } from 'rxjs';

/**
 * A metered application over HTTP, in a process of its own. Environment: the ledger's, ADAPTER
 * (`express` or `fastify`) and OVER, a file into which it writes the number of each request whose
 * response is over, once the turn after that has passed.
 */
const { ADAPTER, OVER } = process.env;
/** Before a number: the journal wrote in the thread pool then, and promised nothing for a turn. */
const SLOW_DISK = '?';

/** The sender of a response of either adapter. */
interface Reply {
  status(code: number): { send(body: object): void };
}

/** The number of a request is its first argument, and the user of its entry. */
const entryOf = ({ args, end }: UsageCall): { userId: number; memo: string } => {
  return { userId: Number(args[0]), memo: end };
};

@Controller()
class Answers {
  @Get('plain')
  @RecordUsage(entryOf)
  plain(@Query('n') n: string): object {
    return { n };
  }

  @Get('later')
  @RecordUsage(entryOf)
  async later(@Query('n') n: string): Promise<object> {
    await new Promise((resolve) => setImmediate(resolve));
    return { n };
  }

  @Get('stream')
  @RecordUsage(entryOf)
  stream(@Query('n') n: string): StreamableFile {
    return new StreamableFile(Readable.from([Buffer.from('number '), Buffer.from(n)]));
  }

  @Sse('events')
  @RecordUsage(entryOf)
  events(@Query('n') n: string): Observable<MessageEvent> {
    return from(['number', n]).pipe(map((data) => ({ data })));
  }

  @Get('passthrough')
  @RecordUsage(entryOf)
  passthrough(@Query('n') n: string, @Res({ passthrough: true }) _reply: Reply): object {
    return { n };
  }

  @Get('manual')
  @RecordUsage(entryOf)
  manual(@Query('n') n: string, @Res() reply: Reply): void {
    reply.status(200).send({ n });
  }
}

const config = createLedgerConfig(defineLedger({ schema: 'journaled' }));

@Module({ imports: [LedgerModule.forRootAsync(config.asProvider())], controllers: [Answers] })
class AppModule {}

const app = await NestFactory.create(
  AppModule,
  ADAPTER === 'express' ? new ExpressAdapter() : new FastifyAdapter(),
  { logger: new ConsoleLogger({ colors: false, logLevels: ['warn', 'error', 'fatal'] }) },
);
app.enableShutdownHooks(['SIGTERM']);
const ledger = app.get(LedgerService);
const over = openSync(OVER!, 'a', 0o600);
(app.getHttpServer() as Server).prependListener('request', (request, response) => {
  const number = new URL(request.url ?? '', 'http://localhost').searchParams.get('n');
  // The first may come before the journal's own; the turn has passed when the second comes.
  const note = (): void => {
    const isLate = ledger.stats().journal?.state === 'asynchronous';
    writeSync(over, `${isLate ? SLOW_DISK : ''}${number}\n`);
  };
  response.once('finish', () => setImmediate(() => setImmediate(note)));
});
await app.listen(0, '127.0.0.1');
process.on('message', () => void process.send!(ledger.stats()));
process.send!(new URL(await app.getUrl()).port);
