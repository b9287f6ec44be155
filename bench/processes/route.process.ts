import 'reflect-metadata';
import {
  Controller,
  Get,
  Module,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { LedgerModule, LedgerService, RecordUsage } from 'nestjs-ledger';
import type { Observable } from 'rxjs';
import { inputOf, nextMessage, tell } from '../setup/child.js';

export interface RouteInput {
  readonly url: string;
  /**
   * Without it there is no journal; with it responses are held until their entry is in the journal.
   */
  readonly journalDir?: string | undefined;
}

interface Answer {
  readonly user: number;
  readonly tokens: number;
  readonly text: string;
}

const answer = async (): Promise<Answer> => ({ user: 7, tokens: 11, text: 'hello, world' });
const entryOf = ({ user, tokens }: Answer) => ({ userId: user, completionTokens: tokens });

/** The cost of an interceptor that does nothing. */
class EmptyInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

/** One answer on five routes, without any other difference. */
@Controller()
class RouteController {
  constructor(private readonly ledger: LedgerService) {}

  @Get('bare')
  bare(): Promise<Answer> {
    return answer();
  }

  @Get('bare-again')
  bareAgain(): Promise<Answer> {
    return answer();
  }

  @Get('empty')
  @UseInterceptors(EmptyInterceptor)
  empty(): Promise<Answer> {
    return answer();
  }

  @Get('record')
  async record(): Promise<Answer> {
    const made = await answer();
    this.ledger.record(entryOf(made));
    return made;
  }

  @Get('decorated')
  @RecordUsage<Answer>(({ result }) => (result ? entryOf(result) : null))
  decorated(): Promise<Answer> {
    return answer();
  }
}

const { url, journalDir } = inputOf<RouteInput>();

@Module({
  imports: [LedgerModule.forRoot({ connection: { url }, journalDir })],
  controllers: [RouteController],
})
class RouteModule {}

const app = await NestFactory.create<NestFastifyApplication>(RouteModule, new FastifyAdapter(), {
  logger: false,
});
await app.listen(0, '127.0.0.1');
tell({ url: await app.getUrl() });
for (;;) {
  const { isOver } = await nextMessage<{ isOver?: boolean }>();
  if (isOver) break;
  tell(process.cpuUsage());
}
await app.close();
process.exit(0);
