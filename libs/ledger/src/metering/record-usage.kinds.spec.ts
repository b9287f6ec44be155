import { Controller, Get, Injectable, Logger, Scope, type INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { BehaviorSubject, concat, lastValueFrom, of, throwError, type Observable } from 'rxjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { latch } from './fixtures/recorded-app.fixture.js';
import { LedgerService } from '../ledger.service.js';
import { LedgerTestingModule } from '../testing/ledger-testing.module.js';
import { RecordUsage } from './record-usage.decorator.js';
import type { UsageCall } from './usage-call.interface.js';
import { Usage } from './usage.decorator.js';

const broken = new Error('broken');
let work = latch();

interface Draft {
  completionTokens?: number;
}

const map = ({ usage, end, result, args, context }: UsageCall) => ({
  userId: 1,
  ...usage,
  memo: `${end} ${JSON.stringify(result) ?? '-'} ${args.length} ${context === undefined ? '-' : context.getType()}`,
});

@Injectable()
class Jobs {
  @RecordUsage(map)
  sync(left: number, right: number): number {
    return left + right;
  }

  @RecordUsage(map)
  async promise(text: string, @Usage() draft: Draft = {}): Promise<string> {
    draft.completionTokens = text.length;
    return text;
  }

  @RecordUsage(map)
  fails(): never {
    throw broken;
  }

  @RecordUsage(map)
  async rejects(): Promise<never> {
    throw broken;
  }

  @RecordUsage(map)
  observable(): Observable<number> {
    return of(1, 2, 3);
  }

  @RecordUsage(map)
  brokenObservable(): Observable<number> {
    return concat(
      of(1),
      throwError(() => broken),
    );
  }

  @RecordUsage(map)
  subject(): BehaviorSubject<number> {
    const subject = new BehaviorSubject(1);
    setImmediate(() => subject.complete());
    return subject;
  }

  @RecordUsage(map)
  async *words(@Usage() draft: Draft = {}): AsyncGenerator<string> {
    try {
      for (const word of ['one', 'two', 'three']) {
        draft.completionTokens = (draft.completionTokens ?? 0) + 1;
        yield word;
      }
    } finally {
      draft.completionTokens = (draft.completionTokens ?? 0) + 10;
    }
  }

  @RecordUsage(map)
  async long(@Usage() draft: Draft = {}): Promise<string> {
    await work.promise;
    draft.completionTokens = 7;
    return 'late';
  }

  undecorated(): void {}
}

@Injectable({ scope: Scope.REQUEST })
class Scoped {
  @RecordUsage(map)
  answer(): string {
    return 'scoped';
  }
}

@Injectable()
class Heir extends Jobs {}

async function boot(...providers: (new () => object)[]) {
  const app = await Test.createTestingModule({
    imports: [LedgerTestingModule.forRoot()],
    providers,
  }).compile();
  const memos = async (): Promise<string[]> =>
    (await app.get(LedgerTestingModule).entries()).map(
      ({ memo, completionTokens }) => `${memo} ${completionTokens}`,
    );
  return { app, memos };
}

describe('RecordUsage on methods that are no handlers', () => {
  it.each([
    ['sync', (jobs: Jobs) => jobs.sync(2, 3), 'completed 5 2 - 0'],
    ['promise', (jobs: Jobs) => jobs.promise('abc'), 'completed "abc" 2 - 3'],
    ['fails', async (jobs: Jobs) => jobs.fails(), 'failed - 0 - 0'],
    ['rejects', (jobs: Jobs) => jobs.rejects(), 'failed - 0 - 0'],
    ['observable', (jobs: Jobs) => lastValueFrom(jobs.observable()), 'completed 3 0 - 0'],
    ['brokenObservable', (jobs: Jobs) => lastValueFrom(jobs.brokenObservable()), 'failed 1 0 - 0'],
    ['subject', (jobs: Jobs) => lastValueFrom(jobs.subject()), 'completed 1 0 - 0'],
  ] as const)('books %s once when it has ended', async (_, run, memo) => {
    const { app, memos } = await boot(Jobs);
    await Promise.resolve(run(app.get(Jobs))).catch((error: unknown) => expect(error).toBe(broken));
    expect(await memos()).toEqual([memo]);
    await app.close();
  });

  it('returns synchronous results synchronously, and a subject unchanged', async () => {
    const { app } = await boot(Jobs);
    expect(app.get(Jobs).sync(2, 3)).toBe(5);
    expect(app.get(Jobs).subject().value).toBe(1);
    await app.close();
  });

  it('books an async iterable when it was read, or when its reader has left', async () => {
    const { app, memos } = await boot(Jobs);
    const read: string[] = [];
    for await (const word of app.get(Jobs).words()) read.push(word);
    expect(read).toEqual(['one', 'two', 'three']);
    for await (const word of app.get(Jobs).words()) if (word === 'two') break;
    expect(await memos()).toEqual(['completed "three" 1 - 13', 'aborted "two" 1 - 12']);
    await app.close();
  });

  it('keeps name, length and metadata of the method', () => {
    const method = Jobs.prototype.sync;
    expect([method.name, method.length]).toEqual(['sync', 2]);
    @Controller()
    class Routes {
      @RecordUsage(map)
      @Get('below')
      below(): void {}

      @Get('above')
      @RecordUsage(map)
      above(): void {}
    }
    for (const key of ['below', 'above'] as const) {
      expect(Reflect.getMetadata('path', Routes.prototype[key])).toBe(key);
    }
  });

  it('records for objects of one request and for inherited methods', async () => {
    const { app, memos } = await boot(Scoped, Heir);
    expect((await app.resolve(Scoped)).answer()).toBe('scoped');
    expect(app.get(Heir).sync(1, 1)).toBe(2);
    expect(await memos()).toEqual(['completed "scoped" 0 - 0', 'completed 2 2 - 0']);
    await app.close();
  });

  it('records into the ledger of the application that the object is of', async () => {
    const [one, two] = [await boot(Jobs, Scoped), await boot(Jobs, Scoped)];
    await one.app.get(Jobs).promise('a');
    (await two.app.resolve(Scoped)).answer();
    await two.app.get(Jobs).promise('bb');
    expect(await one.memos()).toEqual(['completed "a" 2 - 1']);
    expect(await two.memos()).toEqual(['completed "scoped" 0 - 0', 'completed "bb" 2 - 2']);
    await one.app.close();
    await two.app.get(Jobs).promise('ccc');
    expect(await two.memos()).toHaveLength(3);
    await two.app.close();
  });

  it('finds objects that a factory made', async () => {
    const app = await Test.createTestingModule({
      imports: [LedgerTestingModule.forRoot()],
      providers: [{ provide: 'jobs', useFactory: () => new Jobs() }],
    }).compile();
    await app.get<Jobs>('jobs').promise('abc');
    expect(await app.get(LedgerTestingModule).entries()).toHaveLength(1);
    await app.close();
  });

  it('logs once that an object is none of Nest’s, and calls the method', () => {
    const warn = vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    class Stranger {
      @RecordUsage(map)
      answer(): string {
        return 'answer';
      }
    }
    expect([new Stranger().answer(), new Stranger().answer()]).toEqual(['answer', 'answer']);
    expect(warn.mock.calls.map(([line]) => String(line))).toEqual([
      expect.stringContaining('@RecordUsage on Stranger.answer recorded nothing'),
    ]);
    warn.mockRestore();
  });

  it('waits for calls under way when it stops, and for tracked promises', async () => {
    work = latch();
    const { app, memos } = await boot(Jobs);
    const testing = app.get(LedgerTestingModule);
    const ledger = app.get(LedgerService);
    void app.get(Jobs).long();
    const later = latch();
    const tracked = ledger.track(later.promise.then(() => ledger.record({ userId: 2 })));
    const closed = app.close();
    work.open();
    later.open();
    await closed;
    expect(await tracked).toBe('queued');
    expect(await testing.entries()).toHaveLength(2);
    expect(await memos()).toContain('completed "late" 1 - 7');
  });
});

describe('RecordUsage on a route', () => {
  let app: INestApplication | undefined;
  afterEach(() => app?.close());

  it('waits for the method of a client that has gone, and books what it counts', async () => {
    work = latch();
    const entered = latch();
    @Controller()
    class Slow {
      @Get()
      @RecordUsage(map)
      async answer(@Usage() draft: Draft): Promise<string> {
        entered.open();
        await work.promise;
        draft.completionTokens = 7;
        return 'to nobody';
      }
    }
    const module = await Test.createTestingModule({
      imports: [LedgerTestingModule.forRoot()],
      controllers: [Slow],
    }).compile();
    app = module.createNestApplication({ logger: false });
    await app.listen(0, '127.0.0.1');
    const server = app.getHttpServer() as Server;
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const connected = once(server, 'connection');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await entered.promise;
    const [peer] = (await connected) as [NodeJS.EventEmitter];
    const gone = once(peer, 'close');
    socket.destroy();
    await gone;
    work.open();
    const ledger = app.get(LedgerTestingModule);
    const isKept = async (): Promise<void> => expect(await ledger.entries()).toHaveLength(1);
    await vi.waitFor(isKept, { timeout: 25_000 });
    expect((await ledger.entries())[0]).toMatchObject({
      completionTokens: 7,
      memo: 'aborted "to nobody" 1 http',
    });
  });
});
