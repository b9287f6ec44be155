import { Controller, Post } from '@nestjs/common';
import { expect, it } from 'vitest';
import { createLedgerConfig, defineLedger, LedgerModule, RecordUsage } from './index.js';
import type { LedgerService, UsageCall, UsageEntry } from './index.js';

const usage = defineLedger({ name: 'usage', columns: { model: 'text', costNanos: 'bigint' } });
const keyed = defineLedger({ name: 'keyed', partition: 'month' });
type Usage = typeof usage;

/** Never called: the compiler checks it, in `npm run typecheck`. */
function recorded(ledger: LedgerService<Usage>, partitioned: LedgerService<typeof keyed>): void {
  const misspelt = { userId: 1, promptTokesn: 5 };
  const right = { userId: 1, promptTokens: 5, model: 'm', attributes: { any: 1 } };
  const given: UsageEntry<Usage> = right;
  ledger.record(right);
  ledger.record(given);
  ledger.record({ ...right, costNanos: 5n, direction: 'supply', uuid: null });
  ledger.recordMany([right, given, { userId: '2' }]);
  void ledger.recordAndWait({ userId: 1, idempotencyKey: 'k' });
  partitioned.record({ userId: 1, idempotencyKey: 'k', createdAt: new Date() });
  // @ts-expect-error in a literal
  ledger.record({ userId: 1, promptTokesn: 5 });
  // @ts-expect-error in an object that was made before
  ledger.record(misspelt);
  // @ts-expect-error in the spread object
  ledger.record({ ...misspelt, model: 'm' });
  // @ts-expect-error a declared column's name
  ledger.record({ userId: 1, modle: 'm' });
  // @ts-expect-error in one of many
  ledger.recordMany([right, misspelt]);
  // @ts-expect-error in one that is waited for
  void ledger.recordAndWait(misspelt, { until: 'queued' });
  // @ts-expect-error a partitioned ledger needs createdAt beside a key
  partitioned.record({ userId: 1, idempotencyKey: 'k' });
  // @ts-expect-error a value of another type
  ledger.record({ userId: 1, model: 5 });
  // @ts-expect-error without a user
  ledger.record({ promptTokens: 1 });
}

interface Answer {
  readonly tokens: number;
}

@Controller()
class Handlers {
  @Post('a')
  @RecordUsage(({ result }: UsageCall<Answer>) =>
    result ? { userId: 1, promptTokens: result.tokens } : null,
  )
  a(): Answer {
    return { tokens: 1 };
  }

  @Post('b')
  @RecordUsage(({ usage: draft, end }) => ({ userId: 7, ...draft, memo: end }))
  b(): void {}

  @Post('c')
  @RecordUsage(() => [{ userId: 1 }, { userId: 2, model: 'm' }], { ledger: usage })
  c(): void {}

  @Post('d')
  // @ts-expect-error in what the mapper returns
  @RecordUsage(() => ({ userId: 1, promptTokesn: 5 }))
  d(): void {}

  @Post('e')
  // @ts-expect-error in one of several entries
  @RecordUsage(() => [{ userId: 1 }, { userId: 1, modle: 'm' }], { ledger: usage })
  e(): void {}

  @Post('f')
  // @ts-expect-error in one of several answers
  @RecordUsage(({ end }) => (end === 'failed' ? null : { userId: 1, tokens: 5 }))
  f(): void {}
}

function configured(): void {
  LedgerModule.forRootAsync({ useFactory: () => ({ batchSize: 3, overflow: 'block' }) });
  LedgerModule.forRootAsync({ useFactory: async (size: number) => ({ batchSize: size }) });
  LedgerModule.forRootAsync({ ledger: usage, useFactory: () => ({}) });
  LedgerModule.forRootAsync(createLedgerConfig(usage).asProvider());
  // @ts-expect-error no such option
  LedgerModule.forRootAsync({ useFactory: () => ({ bacthSize: 3 }) });
  // @ts-expect-error no such option beside one that is there
  LedgerModule.forRootAsync({ useFactory: async () => ({ batchSize: 3, flushMS: 5 }) });
}

it('the compiler refuses names that no field and no option has', () => {
  expect([recorded, Handlers, configured, keyed]).toHaveLength(4);
});
