import { Controller, Injectable, Module, Sse, type MessageEvent } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { concat, NEVER, of, type Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { LedgerHealthIndicator } from '../health/ledger-health.indicator.js';
import { RecordUsage } from '../metering/record-usage.decorator.js';
import { LedgerModule } from '../ledger.module.js';
import { LedgerService } from '../ledger.service.js';
import { getLedgerToken, InjectLedger } from '../ledger.tokens.js';
import { LedgerTestingModule } from './ledger-testing.module.js';
import { ManualClock } from './manual-clock.js';

const TRANSIENT = { kind: 'transient' } as const;
const usage = defineLedger({ name: 'usage', ids: 'text', columns: { model: 'text' } });

@Injectable()
class Chat {
  constructor(
    private readonly ledger: LedgerService,
    @InjectLedger(usage) private readonly usageLedger: LedgerService<typeof usage>,
  ) {}

  answer(userId: number): void {
    this.ledger.record({ userId, promptTokens: 3 });
    this.usageLedger.record({ userId: `user-${userId}`, completionTokens: 4, model: 'gpt-4o' });
  }

  fail(): void {
    this.ledger.record({ userId: -1 });
  }
}

@Controller()
class Words {
  @Sse('words')
  @RecordUsage(({ end }) => ({ userId: 7, memo: end }))
  words(): Observable<MessageEvent> {
    return concat(of({ data: 'Hello' }), NEVER);
  }
}

async function createModule() {
  return Test.createTestingModule({
    imports: [LedgerTestingModule.forRoot({ ledgers: [usage, defineLedger()] })],
    providers: [Chat],
  }).compile();
}

describe('LedgerTestingModule', () => {
  it('refuses an entry with a property that is not a field, so that a test sees the typo', async () => {
    const module = await Test.createTestingModule({
      imports: [LedgerTestingModule.forRoot()],
    }).compile();
    const ledger = module.get(LedgerService);
    const misspelt = { userId: 1, promptTokesn: 5 } as { userId: number };
    expect(() => ledger.record(misspelt)).toThrow(/promptTokesn is not a field .* promptTokens/);
    await expect(ledger.recordAndWait(misspelt)).rejects.toMatchObject({ field: 'promptTokesn' });
    await module.close();
  });

  it('returns the recorded entries, without a database', async () => {
    const module = await createModule();
    const ledgers = module.get(LedgerTestingModule);
    module.get(Chat).answer(7);
    module.get(Chat).answer(8);
    expect(await ledgers.entries()).toMatchObject([
      { userId: '7', promptTokens: 3, completionTokens: 0, direction: 'consume' },
      { userId: '8' },
    ]);
    const [first] = await ledgers.entries(usage);
    expect(first).toMatchObject({ userId: 'user-7', completionTokens: 4, model: 'gpt-4o' });
    await module.close();
  });

  it('throws at an invalid entry, so that the test sees it', async () => {
    const module = await createModule();
    expect(() => module.get(Chat).fail()).toThrow(
      'invalid entry: userId must be an integer from 1 to 2^63 - 1, got a negative number',
    );
    await module.close();
  });

  it('reads, waits and reports its health like the real one', async () => {
    const module = await createModule();
    const ledger = module.get(LedgerService);
    const other = { userId: 2, promptTokens: 9 };
    await ledger.recordAndWait({ userId: 1, promptTokens: 2, completionTokens: 3 });
    await ledger.recordAndWait({ userId: 1, promptTokens: 50, direction: 'supply' });
    await ledger.recordAndWait(other);
    expect(await ledger.summary({ userId: 1 })).toMatchObject({
      consumedTokens: 5,
      suppliedTokens: 50,
      netTokens: 45,
      entries: 2,
    });
    const page = await ledger.listRecent({ userId: 1, limit: 1 });
    expect(page.entries).toMatchObject([{ direction: 'supply' }]);
    const next = await ledger.listRecent({ userId: 1, cursor: page.nextCursor! });
    expect(next).toMatchObject({ entries: [{ direction: 'consume' }], nextCursor: null });
    expect(await module.get(LedgerHealthIndicator).isHealthy('ledger')).toMatchObject({
      ledger: { status: 'up', database: 'up' },
    });
    await module.close();
    await expect(ledger.recordAndWait(other)).rejects.toMatchObject({ code: 'LEDGER_SPILLED' });
  });

  it('refuses an invalid query with the rule', async () => {
    const module = await createModule();
    const ledger = module.get(LedgerService);
    const nothing = null as never;
    const reads = [
      () => ledger.summary(nothing),
      () => ledger.listRecent(nothing),
      () => ledger.report(nothing).next(),
    ];
    for (const read of reads) {
      await expect(read()).rejects.toMatchObject({ reason: 'invalid', field: 'query' });
    }
    await module.close();
  });

  it('works and stops while time stands still', async () => {
    const clock = new ManualClock();
    const module = await Test.createTestingModule({
      imports: [LedgerTestingModule.forRoot({ clock })],
    }).compile();
    await module.init();
    const ledger = module.get(LedgerService);
    const ledgers = module.get(LedgerTestingModule);
    ledger.record({ userId: 1 });
    const now = clock.now();
    expect(await ledgers.entries()).toMatchObject([{ userId: '1' }]);
    expect(clock.now(), 'reading moves no time').toBe(now);
    ledgers.sink().failAlways({ kind: 'transient' });
    ledger.record({ userId: 2 });
    await module.close();
    expect(ledger.stats()).toMatchObject({ written: 1, spilled: 1, state: 'sealed' });
  });

  it('leaves no timer with profile auto', async () => {
    const clock = new ManualClock();
    const module = await Test.createTestingModule({
      imports: [LedgerTestingModule.forRoot({ clock, options: { profile: 'auto' } })],
    }).compile();
    await module.init();
    const ledger = module.get(LedgerService);
    ledger.record({ userId: 1 });
    expect(await module.get(LedgerTestingModule).entries()).toHaveLength(1);
    await module.close();
    expect(ledger.stats()).toMatchObject({ written: 1, auto: { delayMs: 1 } });
    expect(clock.pendingTimers).toBe(0);
  });

  it('knows when an entry was written, for use in reports', async () => {
    const clock = new ManualClock();
    const module = await Test.createTestingModule({
      imports: [LedgerTestingModule.forRoot({ clock })],
    }).compile();
    await module.init();
    const [ledger, ledgers] = [module.get(LedgerService), module.get(LedgerTestingModule)];
    const createdAt = new Date(clock.now() - 3_600_000);
    ledger.record({ userId: 1, promptTokens: 5, createdAt });
    await ledgers.entries();
    const invoicedAt = new Date(clock.now() + 1);
    await clock.advance(1000);
    ledger.record({ userId: 1, promptTokens: 7, createdAt });
    await ledgers.entries();
    const hour = { from: createdAt, to: new Date(createdAt.getTime() + 1), groupBy: [] };
    const sums = async (query: object): Promise<unknown[]> => {
      const rows = [];
      for await (const row of ledger.report({ ...hour, ...query })) rows.push(row);
      return rows;
    };
    expect(await sums({})).toMatchObject([{ consumedTokens: 12, entries: 2 }]);
    expect(await sums({ writtenBefore: invoicedAt })).toMatchObject([{ consumedTokens: 5 }]);
    const { entries } = await ledger.listRecent({ userId: 1 });
    const moments = entries.map((entry) => Date.parse(entry.writtenAt)).sort();
    expect(moments[0]).toBeLessThan(invoicedAt.getTime());
    expect(moments[1]).toBeGreaterThan(invoicedAt.getTime());
    await module.close();
  });

  it('detects the same duplicates and conflicts as the table', async () => {
    const priced = defineLedger({ columns: { price: 'numeric', details: 'jsonb' } });
    const module = await Test.createTestingModule({
      imports: [LedgerTestingModule.forRoot({ ledgers: [priced] })],
    }).compile();
    const ledger = module.get<LedgerService<typeof priced>>(getLedgerToken(priced));
    const fixed = {
      userId: 1,
      uuid: '019b0000-0000-7000-8000-000000000001',
      createdAt: new Date(),
    };
    const first = {
      price: '10.0',
      details: { a: [0, { b: 1, c: 2 }] },
      attributes: { d: 1, e: 2 },
    };
    const again = { price: 10n, details: { a: [0, { c: 2, b: 1 }] }, attributes: { e: 2, d: 1 } };
    await ledger.recordAndWait({ ...fixed, ...first });
    expect(await ledger.recordAndWait({ ...fixed, ...again })).toMatchObject({
      outcome: 'duplicate',
    });
    for (const other of [{ price: 100 }, { details: { a: [{ b: 1, c: 2 }, 0] } }]) {
      const conflict = ledger.recordAndWait({ ...fixed, ...first, ...other });
      await expect(conflict).rejects.toMatchObject({ reason: 'conflict' });
    }
    await module.close();
  });

  it.each([false, true])(
    'takes the place of the module of an application, global: %s',
    async (isGlobal) => {
      const ledgerModule = LedgerModule.forRoot({ ledger: usage, isGlobal });
      @Module({ imports: [ledgerModule] })
      class AppModule {}
      const module = await Test.createTestingModule({ imports: [AppModule] })
        .overrideModule(ledgerModule)
        .useModule(LedgerTestingModule.forRoot({ ledgers: [usage] }))
        .compile();
      await module.init();
      module.get<LedgerService<typeof usage>>(getLedgerToken(usage)).record({ userId: 'ann' });
      const entries = await module.get(LedgerTestingModule).entries(usage);
      expect(entries).toMatchObject([{ userId: 'ann' }]);
      await module.close();
    },
  );

  it('speaks through the logger with the context of each ledger', async () => {
    const contexts = new Set<unknown>();
    const write = (...parts: unknown[]): void => void contexts.add(parts.at(-1));
    const module = await Test.createTestingModule({
      imports: [LedgerTestingModule.forRoot({ ledgers: [usage, defineLedger()] })],
    })
      .setLogger({ log: write, warn: write, error: write })
      .compile();
    const ledgers = module.get(LedgerTestingModule);
    for (const ledger of [usage, defineLedger()]) ledgers.sink(ledger).failNext(TRANSIENT);
    module.get(LedgerService).record({ userId: 1 });
    module.get<LedgerService<typeof usage>>(getLedgerToken(usage)).record({ userId: 'me' });
    await ledgers.entries();
    await ledgers.entries(usage);
    expect(contexts).toContain('async-ledger');
    expect(contexts).toContain('async-ledger:usage');
    await module.close();
  });

  it('has the entry of a client that left when the application was closed', async () => {
    const module = await Test.createTestingModule({
      imports: [LedgerTestingModule.forRoot()],
      controllers: [Words],
    }).compile();
    const app = module.createNestApplication();
    await app.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
    const client = connect(port, '127.0.0.1');
    client.write('GET /words HTTP/1.1\r\nHost: ledger\r\n\r\n');
    await once(client, 'data');
    client.destroy();
    await app.close();
    expect(await module.get(LedgerTestingModule).entries()).toMatchObject([{ memo: 'aborted' }]);
    expect(module.get(LedgerService).stats()).toMatchObject({ written: 1, sealed: 0 });
  });

  it('fails on request', async () => {
    const module = await createModule();
    const ledger = module.get(LedgerService);
    module.get(LedgerTestingModule).sink().failNext({ kind: 'row', rowNumber: 1 });
    await expect(ledger.recordAndWait({ userId: 1 })).rejects.toMatchObject({
      code: 'LEDGER_DEAD_LETTERED',
    });
    expect(isLedgerError(new Error('other'), 'LEDGER_ENTRY_INVALID')).toBe(false);
    await module.close();
  });
});
