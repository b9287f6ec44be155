import { Test, type TestingModule } from '@nestjs/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LedgerHealthIndicator } from '../health/ledger-health.indicator.js';
import { LedgerService } from '../ledger.service.js';
import { LedgerTestingModule } from './ledger-testing.module.js';

type FakeTimerOptions = NonNullable<Parameters<typeof vi.useFakeTimers>[0]>;

const NOW = new Date('2030-01-01T00:00:00.000Z');

/** Timers that the runners fake by default, and common choices. */
const KINDS: readonly (readonly [string, FakeTimerOptions['toFake']])[] = [
  ['all that Vitest fakes', undefined],
  [
    'all but microtasks',
    ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate'],
  ],
  [
    'all, with microtasks',
    ['queueMicrotask', 'setTimeout', 'setImmediate', 'Date', 'performance', 'hrtime'],
  ],
  ['immediates alone', ['setImmediate', 'clearImmediate']],
  ['the date alone', ['Date']],
];

let module: TestingModule | undefined;
afterEach(async () => {
  vi.useRealTimers();
  await module?.close();
  module = undefined;
});

const fake = (toFake: FakeTimerOptions['toFake']): void => {
  vi.useFakeTimers({ now: NOW, ...(toFake && { toFake: [...toFake] }) });
};

async function boot(): Promise<LedgerTestingModule> {
  module = await Test.createTestingModule({ imports: [LedgerTestingModule.forRoot()] }).compile();
  await module.init();
  return module.get(LedgerTestingModule);
}

describe.each(KINDS)('the testing module under fake timers: %s', (_what, toFake) => {
  it.each(['before', 'after'])('answers and closes, faked %s it is made', async (when) => {
    if (when === 'before') fake(toFake);
    const testing = await boot();
    if (when === 'after') fake(toFake);
    const ledger = module!.get(LedgerService);
    expect(ledger.record({ userId: 1, promptTokens: 3 })).toBe('queued');
    expect(await testing.entries()).toHaveLength(1);
    const { outcome } = await ledger.recordAndWait({ userId: 1, promptTokens: 4 });
    expect(outcome).toBe('written');
    expect(await ledger.flush()).toMatchObject({ written: expect.any(Number) });
    const entries = await testing.entries();
    expect(entries).toHaveLength(2);
    const isFaked = toFake === undefined || toFake.includes('Date');
    if (isFaked) {
      expect(entries.map(({ createdAt }) => createdAt)).toEqual([
        NOW.toISOString(),
        NOW.toISOString(),
      ]);
    }
    expect(await module!.get(LedgerHealthIndicator).isHealthy('ledger')).toMatchObject({
      ledger: { status: 'up' },
    });
    await module!.close();
    module = undefined;
  });
});

describe('a faked date', () => {
  it('that advances applies to entries and to sums', async () => {
    fake(undefined);
    const testing = await boot();
    const ledger = module!.get(LedgerService);
    ledger.record({ userId: 1, promptTokens: 1 });
    vi.setSystemTime('2030-02-01T00:00:00.000Z');
    ledger.record({ userId: 1, promptTokens: 2 });
    vi.advanceTimersByTime(60_000);
    ledger.record({ userId: 1, promptTokens: 4 });
    const times = (await testing.entries()).map(({ createdAt }) => createdAt);
    expect(times).toEqual([
      '2030-01-01T00:00:00.000Z',
      '2030-02-01T00:00:00.000Z',
      '2030-02-01T00:01:00.000Z',
    ]);
    const from = new Date('2030-02-01T00:00:00Z');
    expect(await ledger.summary({ userId: 1, from })).toMatchObject({ consumedTokens: 6 });
  });

  it('keeps retrying failing batches while timers stand still', async () => {
    fake(undefined);
    const testing = await boot();
    testing.sink().failNext({ kind: 'transient' });
    testing.sink().failNext({ kind: 'transient' });
    module!.get(LedgerService).record({ userId: 1 });
    expect(await testing.entries()).toHaveLength(1);
  });
});
