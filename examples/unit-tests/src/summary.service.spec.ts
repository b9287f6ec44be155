import { Test, type TestingModule } from '@nestjs/testing';
import { isLedgerError } from 'nestjs-ledger';
import { LedgerTestingModule } from 'nestjs-ledger/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SummaryService } from './summary.service.js';

let module: TestingModule;
let service: SummaryService;
let ledger: LedgerTestingModule;

beforeEach(async () => {
  module = await Test.createTestingModule({
    imports: [LedgerTestingModule.forRoot({ options: { commitTimeoutMs: 50 } })],
    providers: [SummaryService],
  }).compile();
  service = module.get(SummaryService);
  ledger = module.get(LedgerTestingModule);
});
afterEach(() => module.close());

it('records what it read and what it wrote', async () => {
  expect(service.summarize(7, 'It rained. Then it stopped.')).toBe('It rained.');
  expect(await ledger.entries()).toMatchObject([
    { userId: '7', promptTokens: 5, completionTokens: 2, memo: 'summary' },
  ]);
});

it('shows an entry that no ledger would take', () => {
  const thrown = (): string => service.summarize(-1, 'It rained.');
  expect(thrown).toThrow(expect.toSatisfy((error) => isLedgerError(error, 'LEDGER_ENTRY_INVALID')));
});

it('does not answer before its entry is safe', async () => {
  const sink = ledger.sink();
  // As if the database did not answer.
  sink.hold();
  const answer = service.summarizeSafely(7, 'It rained.');
  await expect(answer).rejects.toSatisfy((error) => isLedgerError(error, 'LEDGER_WAIT_TIMEOUT'));
  // The wait is over, the entry is not.
  sink.hold(false);
  for (const write of sink.held) write.release();
  expect(await ledger.entries()).toMatchObject([{ userId: '7', promptTokens: 2 }]);
});
