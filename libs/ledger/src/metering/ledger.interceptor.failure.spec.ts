import {
  BadRequestException,
  CanActivate,
  Catch,
  Controller,
  Get,
  HttpException,
  Injectable,
  Param,
  ParseIntPipe,
  Res,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type ArgumentsHost,
  type CallHandler,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { catchError, concat, of, throwError, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADAPTERS, CallLog, RecordedApp } from './fixtures/recorded-app.fixture.js';
import { RecordUsage } from './record-usage.decorator.js';

const calls = new CallLog();
const unknown = new Error('unknown');

type AnyResponse = ServerResponse & { raw?: ServerResponse };

@Catch()
class Teapot implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const response = http.getResponse<{ status(code: number): { send(body: string): void } }>();
    response.status(418).send('short and stout');
  }
}

@Injectable()
class Deny implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

/** Answers in the handler's place as soon as it has begun, as a time limit would. */
class GiveUp implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    next.handle().subscribe().unsubscribe();
    return throwError(() => new HttpException('too late', 504));
  }
}

class Fallback implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(catchError(() => of('fallback')));
  }
}

@Controller()
class FailingController {
  @Get('http')
  @RecordUsage(calls.map)
  http(): never {
    throw new BadRequestException('bad');
  }

  @Get('unknown')
  @RecordUsage(calls.map)
  async unknown(): Promise<never> {
    throw unknown;
  }

  @Get('observable')
  @RecordUsage(calls.map)
  observable(): Observable<never> {
    return throwError(() => unknown);
  }

  @Get('value-then-error')
  @RecordUsage((call) => {
    const response = call.context!.switchToHttp().getResponse<AnyResponse>();
    return { ...calls.map(call), memo: `sent: ${(response.raw ?? response).writableFinished}` };
  })
  valueThenError(): Observable<string> {
    return concat(
      of('value'),
      throwError(() => unknown),
    );
  }

  @Get('filtered')
  @UseFilters(Teapot)
  @RecordUsage(calls.map)
  filtered(): never {
    throw unknown;
  }

  @Get('manual')
  @RecordUsage(calls.map)
  manual(@Res() _response: unknown): never {
    throw unknown;
  }

  @Get('circular')
  @RecordUsage(calls.map)
  circular(): object {
    const result: Record<string, unknown> = { tokens: 3 };
    result['self'] = result;
    return result;
  }

  @Get('circular-passthrough')
  @RecordUsage(calls.map)
  circularPassthrough(@Res({ passthrough: true }) _response: unknown): object {
    return { big: 1n };
  }

  @Get('getter')
  @RecordUsage(calls.map)
  getter(): object {
    return Object.defineProperty({}, 'bad', {
      enumerable: true,
      get: () => {
        throw unknown;
      },
    });
  }

  @Get('empty')
  @RecordUsage(calls.map)
  empty(): Observable<never> {
    return of();
  }

  @Get('denied')
  @UseGuards(Deny)
  @RecordUsage(calls.map)
  denied(): string {
    return 'never';
  }

  @Get('piped/:id')
  @RecordUsage(calls.map)
  piped(@Param('id', ParseIntPipe) id: number): number {
    return id;
  }

  @Get('given-up')
  @UseInterceptors(GiveUp)
  @RecordUsage(calls.map)
  givenUp(): string {
    return 'unheard';
  }

  @Get('caught')
  @UseInterceptors(Fallback)
  @RecordUsage(calls.map)
  caught(): never {
    throw unknown;
  }

  @Get('destroyed')
  @RecordUsage(calls.map)
  destroyed(@Res() response: AnyResponse): void {
    (response.raw ?? response).destroy(unknown);
  }
}

describe.each(ADAPTERS)('LedgerInterceptor with failures on %s', (adapter) => {
  let app: RecordedApp;

  beforeEach(async () => {
    calls.clear();
    app = await RecordedApp.start(adapter, { controllers: [FailingController] });
  });

  afterEach(() => app.close());

  it.each([
    ['http', 400, expect.any(BadRequestException)],
    ['unknown', 500, unknown],
    ['observable', 500, unknown],
    ['filtered', 418, unknown],
    ['manual', 500, unknown],
    ['piped/x', 400, expect.any(BadRequestException)],
    ['given-up', 504, expect.any(HttpException)],
    ['empty', 500, undefined],
    ['circular', 500, undefined],
    ['circular-passthrough', 500, undefined],
    ['getter', 500, undefined],
  ])('maps %s once as failed and leaves its answer %i', async (path, status, error) => {
    const answer = await app.fetch(`/${path}`);
    expect(answer.status).toBe(status);
    await answer.text();
    await calls.reach(1);
    await app.close();
    expect(calls.ends).toEqual(['failed']);
    expect(calls.all[0]?.error).toEqual(error);
    expect(app.ledger.recorded).toEqual([{ userId: 1 }]);
  });

  it('still shows the result whose serialisation failed', async () => {
    await app.fetch('/circular');
    await calls.reach(1);
    expect(calls.all[0]?.result).toMatchObject({ tokens: 3 });
  });

  it('maps a handler once as completed whose error an inner interceptor has caught', async () => {
    expect(await (await app.fetch('/caught')).text()).toBe('fallback');
    await app.close();
    expect(calls.ends).toEqual(['completed']);
  });

  it('does not map a request that a guard has refused', async () => {
    expect((await app.fetch('/denied')).status).toBe(403);
    await app.close();
    expect(calls.all).toEqual([]);
  });

  it('maps a value that an error follows once that is answered', async () => {
    expect((await app.fetch('/value-then-error')).status).toBe(500);
    await calls.reach(1);
    await app.close();
    expect(calls.all).toMatchObject([{ end: 'failed', error: unknown, result: 'value' }]);
    expect(app.ledger.recorded).toEqual([{ userId: 1, memo: 'sent: true' }]);
  });

  it('maps a response once as failed that the handler destroyed with an error', async () => {
    await app.dial('/destroyed');
    await calls.reach(1);
    await app.close();
    expect(calls.ends).toEqual(['failed']);
    expect(calls.all[0]?.error).toBe(unknown);
  });
});
