import { describe, expect, it } from 'vitest';
import {
  assertConservation,
  ledgerUnderTest,
  PLAIN_TABLE,
  start,
} from '../testing/ledger-under-test.js';

const TABLE = { ...PLAIN_TABLE, columns: { model: 'text', costNanos: 'bigint' } as const };

describe('an entry with a property that is not a field', () => {
  it('is recorded without it, counted, and reported once with the closest field', async () => {
    const test = ledgerUnderTest({}, TABLE);
    const { intake } = test.ledger;
    await start(test);
    test.lines.length = 0;
    for (let i = 0; i < 3; i++) {
      expect(intake.offer({ userId: 1, promptTokesn: 5, cached_tokens: 7 })).toBe('queued');
    }
    expect(intake.offer({ userId: 1, modle: 'm' })).toBe('queued');
    expect(intake.offer({ userId: 1, promptTokens: 5, model: undefined })).toBe('queued');
    await test.clock.advance(2000);
    const stats = test.ledger.stats();
    expect(stats).toMatchObject({ written: 5, invalid: 0, unknownFields: 7 });
    assertConservation(stats);
    expect(test.lines.filter((line) => line.includes('is not a field'))).toEqual([
      'WARNING: promptTokesn is not a field of this ledger, the closest is promptTokens; entries are recorded without it',
      expect.stringMatching(
        /^WARNING: cached_tokens is not a field of this ledger, the closest is /,
      ),
      'WARNING: modle is not a field of this ledger, the closest is model; entries are recorded without it',
    ]);
  });

  it('is invalid with unknownFields: reject, by name', async () => {
    const { ledger, letters, clock } = ledgerUnderTest({ unknownFields: 'reject' }, TABLE);
    expect(ledger.intake.offer({ userId: 1, costNanso: 5 })).toBe('invalid');
    expect(ledger.intake.lastFault).toEqual({
      field: 'costNanso',
      rule: 'is not a field of this ledger, the closest is costNanos',
    });
    const wait = ledger.awaited.record({ userId: 1, x: 1 }, {}).catch((error: object) => error);
    expect(await wait).toMatchObject({ code: 'LEDGER_ENTRY_INVALID', field: 'x' });
    await clock.advance(2000);
    expect(ledger.stats()).toMatchObject({ offered: 2, invalid: 2, unknownFields: 0 });
    expect(letters.map(({ entry }) => entry)).toEqual([{ userId: 1 }, { userId: 1 }]);
  });

  it('cannot fill the log or break its lines with any names', () => {
    const { ledger, lines } = ledgerUnderTest();
    for (let i = 0; i < 1000; i++) ledger.intake.offer({ userId: 1, [`name ${i}\n\u001b[31m`]: 1 });
    ledger.intake.offer({ userId: 1, ['x'.repeat(1_000_000)]: 1 });
    const told = lines.filter((line) => line.includes('is not a field'));
    expect(told).toHaveLength(100);
    expect(told[0]).toContain('WARNING: "name 0??[31m" is not a field');
    expect(ledger.stats().unknownFields).toBe(1001);
  });

  it('may not record another entry while it is read', () => {
    const { ledger } = ledgerUnderTest();
    let inner: unknown;
    const entry = {
      userId: 1,
      get extra(): number {
        inner = ledger.intake.offer({ userId: 2 });
        return 1;
      },
    };
    expect(ledger.intake.offer(entry)).toBe('queued');
    expect(inner).toBe('invalid');
    assertConservation(ledger.stats());
  });
});
