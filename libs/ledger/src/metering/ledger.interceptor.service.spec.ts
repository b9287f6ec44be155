import { Controller, Get } from '@nestjs/common';
import { afterEach, describe, expect, it } from 'vitest';
import { ADAPTERS, CallLog, RecordedApp } from './fixtures/recorded-app.fixture.js';
import type { LedgerOptions } from '../config/ledger-options.interface.js';
import { LedgerService } from '../ledger.service.js';
import {
  assertConservation,
  ledgerUnderTest,
  start,
  type LedgerUnderTest,
} from '../testing/ledger-under-test.js';
import { RecordUsage } from './record-usage.decorator.js';

const calls = new CallLog();

@Controller()
class ServedController {
  @Get('usual')
  @RecordUsage(calls.map)
  usual(): string {
    return 'answer';
  }

  @Get('commit')
  @RecordUsage(calls.map, { guarantee: 'commit' })
  commit(): string {
    return 'answer';
  }

  @Get('several')
  @RecordUsage(() => [{ userId: 1 }, { userId: 2 }, { userId: 3 }])
  several(): string {
    return 'answer';
  }

  @Get('invalid')
  @RecordUsage(() => ({ userId: -1 }))
  invalid(): string {
    return 'answer';
  }

  @Get('throws')
  @RecordUsage(() => {
    throw new Error('mapper');
  })
  throws(): string {
    return 'answer';
  }
}

describe.each(ADAPTERS)('LedgerInterceptor with a LedgerService on %s', (adapter) => {
  let app: RecordedApp;
  let parts: LedgerUnderTest;
  let service: LedgerService;

  async function boot(options: LedgerOptions = {}): Promise<void> {
    calls.clear();
    parts = ledgerUnderTest(options);
    // Nothing here reads entries back.
    service = new LedgerService(parts.ledger, undefined as never);
    app = await RecordedApp.start(adapter, {
      controllers: [ServedController],
      providers: [{ provide: LedgerService, useValue: service }],
    });
  }

  afterEach(async () => {
    await app.close();
    assertConservation(service.stats());
  });

  it('has an entry in the channel before its response is out', async () => {
    await boot();
    expect(await (await app.fetch('/usual')).text()).toBe('answer');
    expect(service.stats()).toMatchObject({ offered: 1, queued: 1, depth: 1 });
    await app.fetch('/several');
    expect(service.stats()).toMatchObject({ offered: 4, queued: 4, depth: 4 });
  });

  it('answers with guarantee commit once the row is there', async () => {
    await boot();
    parts.sink.hold();
    await start(parts);
    let rowsAtAnswer = -1;
    const answer = app.fetch('/commit').then((response) => {
      rowsAtAnswer = parts.sink.rows.size;
      return response.status;
    });
    await calls.reach(1);
    await parts.clock.turn();
    expect(parts.sink.held).toHaveLength(1);
    expect(rowsAtAnswer).toBe(-1);
    parts.sink.held[0]?.release();
    await parts.clock.turn();
    expect(await answer).toBe(200);
    expect(rowsAtAnswer).toBe(1);
  });

  it('answers after commitTimeoutMs anyway, and the entry is still written', async () => {
    await boot({ commitTimeoutMs: 5000 });
    parts.sink.hold();
    await start(parts);
    const answer = app.fetch('/commit');
    await calls.reach(1);
    await parts.clock.advance(5000);
    expect((await answer).status).toBe(200);
    expect(service.stats()).toMatchObject({ queued: 1, written: 0, dropped: 0 });
    parts.sink.held[0]?.release();
    await parts.clock.turn();
    expect(service.stats()).toMatchObject({ written: 1 });
  });

  it('waits for room at most blockTimeoutMs when overflow is block, then counts a loss', async () => {
    await boot({ overflow: 'block', bufferSize: 1, batchSize: 1, blockTimeoutMs: 700 });
    await app.fetch('/usual');
    const answer = app.fetch('/usual');
    await calls.reach(2);
    expect(service.stats()).toMatchObject({ queued: 1, waiting: 1 });
    await parts.clock.advance(700);
    expect((await answer).status).toBe(200);
    expect(service.stats()).toMatchObject({ offered: 2, queued: 1, waiting: 0, dropped: 1 });
  });

  it('counts mappers that throw', async () => {
    await boot();
    expect((await app.fetch('/throws')).status).toBe(200);
    expect(service.stats()).toMatchObject({ offered: 0, mapperErrors: 1 });
  });

  it.each(['count', 'throw'] as const)('answers when onInvalid is %s', async (onInvalid) => {
    await boot({ onInvalid });
    expect(await (await app.fetch('/invalid')).text()).toBe('answer');
    expect(service.stats()).toMatchObject({ offered: 1, invalid: 1, mapperErrors: 0 });
  });
});
