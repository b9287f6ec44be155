import { LedgerService } from 'nestjs-ledger';
import { expect, it, vi } from 'vitest';
import { RunningExample } from '../../test/support/running-example.js';
import { AppModule } from './src/app.module.js';

it('records what was sent: all of it, or what a client saw before it hung up', async () => {
  const example = await RunningExample.serve(AppModule);
  try {
    const whole = await fetch(await example.at('/words?text=one+two+three'));
    expect((await whole.text()).match(/^data: .*$/gm)).toEqual([
      'data: one',
      'data: two',
      'data: three',
    ]);
    const text = Array.from({ length: 1_000 }, () => 'word').join('+');
    const hangUp = new AbortController();
    const half = await fetch(await example.at(`/words?text=${text}`), { signal: hangUp.signal });
    for await (const chunk of half.body!) if (Buffer.from(chunk).includes('data: word')) break;
    hangUp.abort();
    const ledger = example.app.get(LedgerService, { strict: false });
    await vi.waitFor(() => expect(ledger.stats().offered).toBe(2), 10_000);

    const [first, second] = await example.rowsAtTheEnd();
    expect(first).toMatchObject({ memo: 'completed', prompt_tokens: 13, completion_tokens: 3 });
    expect(second).toMatchObject({ memo: 'aborted', prompt_tokens: 4_999 });
    expect(second?.['completion_tokens']).toBeGreaterThan(0);
    expect(second?.['completion_tokens']).toBeLessThan(1_000);
  } finally {
    await example.drop();
  }
});
