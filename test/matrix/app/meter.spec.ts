import { Test } from '@nestjs/testing';
import { LedgerService } from 'nestjs-ledger';
import { LedgerTestingModule } from 'nestjs-ledger/testing';
import { Meter } from './app.module.js';
import { LedgerDashboardModule, scrape } from './entry-points.js';

describe('the meter', () => {
  it('records what was spent', async () => {
    const module = await Test.createTestingModule({
      imports: [LedgerTestingModule.forRoot()],
      providers: [Meter],
    }).compile();
    expect(module.get(Meter).spend(7, 3)).toBe('queued');
    const entries = await module.get(LedgerTestingModule).entries();
    expect(entries).toEqual([expect.objectContaining({ userId: '7', promptTokens: 3 })]);
    await module.close();
  });
});

describe('the other entry points', () => {
  it('have metrics and a dashboard', async () => {
    const module = await Test.createTestingModule({
      imports: [LedgerTestingModule.forRoot()],
    }).compile();
    module.get(LedgerService).record({ userId: 7 });
    expect(await scrape(module.get(LedgerService))).toMatch(/^ledger_\w+{.*ledger="default"/m);
    expect(LedgerDashboardModule).toBeDefined();
    await module.close();
  });
});
