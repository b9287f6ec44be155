import { describe, expect, it } from 'vitest';
import { ledgerUnderTest, start } from '../testing/ledger-under-test.js';

function objectsIn(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value, ...Object.values(value).flatMap(objectsIn)];
}

describe('a snapshot', () => {
  it('is deeply frozen', async () => {
    const test = ledgerUnderTest({ batchSize: 1 });
    await start(test);
    test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(10);
    const stats = test.ledger.stats();
    expect(stats.lastFlush).toMatchObject({ entries: 1 });
    expect(objectsIn(stats).filter((each) => !Object.isFrozen(each))).toEqual([]);
  });

  it('does not change later', async () => {
    const test = ledgerUnderTest({ batchSize: 1 });
    await start(test);
    const before = test.ledger.stats();
    const copy = structuredClone(before);
    test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(10);
    expect(before).toEqual(copy);
  });
});
