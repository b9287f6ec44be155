import {
  Injectable,
  UseInterceptors,
  type CallHandler,
  type NestInterceptor,
} from '@nestjs/common';
import { ExternalContextCreator } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import { concat, NEVER, of, take, throwError, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CallLog, latch, RecordingLedger } from './fixtures/recorded-app.fixture.js';
import { getLedgerToken } from '../ledger.tokens.js';
import { LedgerInterceptor } from './ledger.interceptor.js';
import { RecordUsage } from './record-usage.decorator.js';
import { Usage } from './usage.decorator.js';

const calls = new CallLog();
const fault = new Error('fault');

class First implements NestInterceptor {
  intercept(_context: unknown, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(take(1));
  }
}

@Injectable()
@UseInterceptors(LedgerInterceptor)
class Messages {
  @RecordUsage(calls.map)
  async promise(@Usage() draft: { memo?: string }): Promise<string> {
    draft.memo = 'filled';
    return 'answer';
  }

  @RecordUsage(calls.map)
  observable(): Observable<string> {
    return of('one', 'two');
  }

  @RecordUsage(calls.map)
  fails(): Observable<string> {
    return throwError(() => fault);
  }

  @RecordUsage(calls.map, { guarantee: 'commit' })
  async committed(): Promise<string> {
    return 'answer';
  }
}

@Injectable()
@UseInterceptors(First, LedgerInterceptor)
class Abandoned {
  @RecordUsage(calls.map)
  observable(): Observable<string> {
    return concat(of('one'), NEVER);
  }
}

describe.each(['rpc', 'ws', 'graphql', 'http'])('LedgerInterceptor in a %s context', (type) => {
  let module: TestingModule;
  const ledger = new RecordingLedger();

  /** Calls a method as a transport does: through Nest's interceptors and parameters. */
  async function call(host: object, method: string, ...args: unknown[]): Promise<unknown> {
    const callback = (host as Record<string, () => unknown>)[method]!;
    const [metadataKey] = Reflect.getMetadataKeys(Messages, 'promise') as string[];
    const parameters = { exchangeKeyForValue: () => undefined };
    const enhancers = { interceptors: true, guards: true, filters: false };
    const creator = module.get(ExternalContextCreator, { strict: false });
    const target = creator.create(
      ...([host as Record<string, any>, callback, method, metadataKey, parameters] as const),
      ...([undefined, undefined, enhancers, type] as const),
    );
    return target(...args);
  }

  beforeEach(async () => {
    calls.clear();
    ledger.recorded.length = 0;
    const providers = [Messages, Abandoned, { provide: getLedgerToken(), useValue: ledger }];
    module = await Test.createTestingModule({ providers }).compile();
  });

  afterEach(() => module.close());

  it('maps a promise once when it is there, with the call’s own draft', async () => {
    const client = {};
    const answers = await Promise.all(
      ['a', 'b'].map((data) => call(module.get(Messages), 'promise', client, { data })),
    );
    expect(answers).toEqual(['answer', 'answer']);
    expect(calls.all).toMatchObject([
      { end: 'completed', result: 'answer', usage: { memo: 'filled' } },
      { end: 'completed', result: 'answer', usage: { memo: 'filled' } },
    ]);
    expect(calls.all[0]?.usage).not.toBe(calls.all[1]?.usage);
    expect(ledger.recorded).toHaveLength(2);
  });

  it('maps an observable once when it completes', async () => {
    await call(module.get(Messages), 'observable', {}, {});
    expect(calls.all).toMatchObject([{ end: 'completed', result: 'two' }]);
  });

  it('maps an error once and passes it on', async () => {
    await expect(call(module.get(Messages), 'fails', {}, {})).rejects.toBe(fault);
    expect(calls.all).toMatchObject([{ end: 'failed', error: fault }]);
  });

  it('maps an observable without listeners once as aborted', async () => {
    await call(module.get(Abandoned), 'observable', {}, {});
    expect(calls.all).toMatchObject([{ end: 'aborted', result: 'one' }]);
  });

  it('holds the answer until the commit', async () => {
    const gate = latch();
    ledger.gate = gate.promise;
    let isAnswered = false;
    const answer = call(module.get(Messages), 'committed', {}, {}).then((value) => {
      isAnswered = true;
      return value;
    });
    await calls.reach(1);
    await call(module.get(Messages), 'promise', {}, {});
    expect(isAnswered).toBe(false);
    gate.open();
    expect(await answer).toBe('answer');
  });
});
