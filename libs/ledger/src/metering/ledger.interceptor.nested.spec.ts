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
import { map, retry, take, throwError, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADAPTERS, CallLog, RecordedApp } from '../../../../test/support/recorded-app.js';
import { RecordUsage } from './record-usage.decorator.js';

const calls = new CallLog();
const unknown = new Error('unknown');
let attempts = 0;

/** Answers in the handler's place as soon as it has begun, as a time limit would. */
class GiveUp implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    next.handle().subscribe().unsubscribe();
    return throwError(() => new HttpException('too late', 504));
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
  givenUp(): string {
    return 'unheard';
  }
}

describe.each(ADAPTERS)('LedgerInterceptor inside other interceptors on %s', (adapter) => {
  let app: RecordedApp;

  beforeEach(async () => {
    calls.clear();
    attempts = 0;
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
    ['given-up', 504, undefined],
  ])('maps %s once as failed, since the answer is not the handler’s', async (path, status, was) => {
    expect((await app.fetch(`/inner/${path}`)).status).toBe(status);
    await calls.reach(1);
    await app.close();
    expect(calls.ends).toEqual(['failed']);
    expect(calls.all[0]?.result).toBe(was);
  });
});
