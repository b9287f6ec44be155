import {
  BadRequestException,
  Controller,
  Get,
  HttpException,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { from, map, retry, switchMap, take, tap, throwError, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADAPTERS, CallLog, latch, RecordedApp } from './fixtures/recorded-app.fixture.js';
import { RecordUsage } from './record-usage.decorator.js';

const calls = new CallLog();
const unknown = new Error('unknown');
let attempts = 0;
let entered = latch();
let work = latch();

/** Answers in the handler's place while it is at work, as a time limit would. */
class GiveUp implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const begun = next.handle().subscribe();
    return from(entered.promise).pipe(
      tap(() => begun.unsubscribe()),
      switchMap(() => throwError(() => new HttpException('too late', 504))),
    );
  }
}

class Retry implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(retry(2));
  }
}

class Spoil implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(
      take(1),
      map(() => {
        throw new BadRequestException('spoiled');
      }),
    );
  }
}

/** Without the global interceptor, the one of a decorator above others stands inside of these. */
@Controller('inner')
class InnerController {
  @Get('retried')
  @RecordUsage(calls.map)
  @UseInterceptors(Retry)
  retried(): string {
    attempts += 1;
    if (attempts < 3) throw unknown;
    return `attempt ${attempts}`;
  }

  @Get('spoiled')
  @RecordUsage(calls.map)
  @UseInterceptors(Spoil)
  spoiled(): string {
    return 'fine';
  }

  @Get('given-up')
  @RecordUsage(calls.map)
  @UseInterceptors(GiveUp)
  async givenUp(): Promise<string> {
    entered.open();
    await work.promise;
    return 'unheard';
  }
}

describe.each(ADAPTERS)('LedgerInterceptor inside other interceptors on %s', (adapter) => {
  let app: RecordedApp;

  beforeEach(async () => {
    calls.clear();
    attempts = 0;
    entered = latch();
    work = latch();
    app = await RecordedApp.start(adapter, { controllers: [InnerController] }, () => undefined, {
      isGlobal: false,
    });
  });

  afterEach(() => app.close());

  it('maps once when a retry outside of it succeeds at last', async () => {
    expect(await (await app.fetch('/inner/retried')).text()).toBe('attempt 3');
    await app.close();
    expect(calls.ends).toEqual(['completed']);
    expect(calls.all[0]).toMatchObject({ result: 'attempt 3', error: undefined });
  });

  it.each([
    ['spoiled', 400, 'fine'],
    ['given-up', 504, 'unheard'],
  ])('maps %s once as failed, since the answer is not the handler’s', async (path, status, was) => {
    expect((await app.fetch(`/inner/${path}`)).status).toBe(status);
    work.open();
    await calls.reach(1);
    await app.close();
    expect(calls.ends).toEqual(['failed']);
    expect(calls.all[0]?.result).toBe(was);
  });
});
