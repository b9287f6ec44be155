import { Test } from '@nestjs/testing';
import { LedgerTestingModule } from 'nestjs-ledger/testing';
import { Meter } from './app.module.js';

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
