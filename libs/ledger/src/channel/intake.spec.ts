import { assert, describe, expect, it } from 'vitest';
import { RowCodec } from '../codec/row-codec.js';
import { readUuid } from '../codec/uuid.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerError } from '../errors/ledger.error.js';
import { assertConservation, ledgerUnderTest, start } from '../testing/ledger-under-test.js';

const codeOf = (error: unknown): unknown => (isLedgerError(error) ? error.code : error);

describe('Intake', () => {
  it('answers queued, invalid, dropped and sealed, and counts each', () => {
    const { ledger, spillFault } = ledgerUnderTest({ bufferSize: 2, batchSize: 1 });
    const { intake } = ledger;
    expect(intake.offer({ userId: 1 })).toBe('queued');
    expect(intake.offer({ userId: 0 })).toBe('invalid');
    expect(intake.offer({ userId: 2 })).toBe('queued');
    expect(intake.offer({ userId: 3 })).toBe('dropped');
    ledger.handoff.seal();
    spillFault.error = new Error('no disk');
    expect(intake.offer({ userId: 4 })).toBe('sealed');
    const stats = ledger.stats();
    expect(stats).toMatchObject({ offered: 5, queued: 2, invalid: 1, dropped: 1, sealed: 1 });
    assertConservation(stats);
  });

  it('keeps as many entries of a list as fit, in order', () => {
    const { ledger } = ledgerUnderTest({ bufferSize: 2, batchSize: 1 });
    const entries = [{ userId: 1 }, {}, { userId: 2 }, { userId: 3 }];
    expect(ledger.intake.offerMany(entries)).toEqual({
      queued: 2,
      dropped: 1,
      sealed: 0,
      invalid: 1,
    });
    expect(ledger.intake.offerMany(undefined as never)).toMatchObject({ invalid: 1 });
    assertConservation(ledger.stats());
  });

  it('answers invalid to unreadable values, alone and among many', () => {
    const { ledger } = ledgerUnderTest();
    const { intake } = ledger;
    const revoked = Proxy.revocable(() => undefined, {});
    revoked.revoke();
    expect(intake.offer(revoked.proxy)).toBe('invalid');
    const list = Proxy.revocable([], {});
    list.revoke();
    expect(intake.offerMany(list.proxy)).toMatchObject({ queued: 0, invalid: 1 });
    const broken = [{ userId: 1 }, { userId: 2 }, { userId: 3 }];
    Object.defineProperty(broken, 1, { get: () => assert.fail() });
    expect(intake.offerMany(broken)).toMatchObject({ queued: 2, invalid: 1 });
    assertConservation(ledger.stats());
  });

  it('keeps the conservation law even if a getter of the entry reads the counters', async () => {
    const { ledger } = ledgerUnderTest();
    const looks: (() => void)[] = [];
    const entry = {
      get userId() {
        const stats = ledger.stats();
        looks.push(() => assertConservation(stats));
        return 1;
      },
    };
    expect(ledger.intake.offer(entry)).toBe('queued');
    await ledger.awaited.record(entry, { until: 'queued' });
    expect(looks).toHaveLength(2);
    looks.forEach((look) => look());
  });

  it('refuses an entry that a getter records, once, without the uuid of the outer entry', async () => {
    const { ledger, letters, clock } = ledgerUnderTest();
    const nested: Promise<unknown>[] = [];
    let reads = 0;
    const entry = {
      uuid: '01890a5d-ac96-774b-bcce-b302099a8058',
      get userId() {
        reads++;
        if (reads === 1) nested.push(ledger.awaited.record({ userId: 2 }, {}).catch((e) => e));
        ledger.intake.offer(entry);
        return 1;
      },
    };
    expect(ledger.intake.offer(entry)).toBe('queued');
    expect(reads, 'once to record it, once to keep what was refused').toBe(2);
    const refusal = (await nested[0]) as { code: string; uuid: string };
    expect(refusal.code).toBe('LEDGER_ENTRY_INVALID');
    expect(refusal.uuid).not.toBe(entry.uuid);
    await clock.advance(1);
    expect(letters.length).toBeGreaterThan(0);
    assertConservation(ledger.stats());
  });

  it('takes a list with an invalid length as one invalid entry', () => {
    const { ledger } = ledgerUnderTest();
    const fail = (): never => {
      throw new Error('no number');
    };
    const noLengths = [Infinity, NaN, -1, 1.5, 2 ** 32, '3', 3n, Symbol('3'), { valueOf: fail }];
    for (const length of noLengths) {
      const get = (list: object[], key: keyof typeof list): unknown =>
        key === 'length' ? length : list[key];
      const list = new Proxy([{ userId: 1 }], { get: get as never });
      expect(ledger.intake.offerMany(list)).toMatchObject({
        queued: 0,
        invalid: 1,
      });
    }
    assertConservation(ledger.stats());
  });

  it('drops by bytes if that bound is reached first', () => {
    const { ledger } = ledgerUnderTest({ bufferMaxBytes: 1_048_576 });
    const memo = 'm'.repeat(8000);
    const outcomes = Array.from({ length: 140 }, () => ledger.intake.offer({ userId: 1, memo }));
    expect(outcomes.filter((outcome) => outcome === 'queued')).toHaveLength(129);
    expect(ledger.stats().saturation).toBeGreaterThan(0.98);
    expect(ledger.stats().bytes).toBeLessThanOrEqual(1_048_576);
    assertConservation(ledger.stats());
  });

  it('gives sequences without gaps, to queued entries only', async () => {
    const test = ledgerUnderTest({ bufferSize: 3, batchSize: 3, flushMs: 10 });
    await start(test);
    const { intake } = test.ledger;
    for (let round = 0; round < 4; round++) {
      intake.offer({ userId: 0 });
      for (let i = 0; i < 5; i++) intake.offer({ userId: 1 });
      intake.offer({ userId: 1, uuid: '01890a5d-ac96-774b-bcce-b302099a8058' });
      await test.clock.advance(20);
    }
    const sequences = [...test.sink.rows.keys()].map((uuid) => readUuid(uuid)?.sequence);
    expect(sequences).toEqual(Array.from({ length: 12 }, (_, i) => i));
    expect(new Set([...test.sink.rows.keys()].map((uuid) => readUuid(uuid)?.run))).toEqual(
      new Set([test.ledger.stats().run]),
    );
  });
});

describe('waiting for room', () => {
  it('admits callers first come, first served, before entries that do not wait', async () => {
    const test = ledgerUnderTest({ bufferSize: 1, batchSize: 1 });
    const { ledger, clock, sink } = test;
    ledger.intake.offer({ userId: 1 });
    const waits = [2, 3].map((userId) => ledger.awaited.record({ userId }, { until: 'queued' }));
    expect(ledger.intake.offer({ userId: 9 })).toBe('dropped');
    expect(ledger.stats()).toMatchObject({ waiting: 2, depth: 1 });
    assertConservation(ledger.stats());
    await start(test);
    await clock.advance(1);
    const results = await Promise.all(waits);
    expect(results.map(({ outcome }) => outcome)).toEqual(['queued', 'queued']);
    const users = [...sink.rows.values()].map((row) => new RowCodec(TABLE).decode(row)['userId']);
    expect(users).toEqual(['1', '2', '3']);
    expect([...sink.rows.keys()].slice(1)).toEqual(results.map(({ uuid }) => uuid));
    assertConservation(ledger.stats());
  });

  it('ends a wait at its time limit without queuing the entry', async () => {
    const test = ledgerUnderTest({ bufferSize: 1, batchSize: 1, blockTimeoutMs: 50 });
    const { ledger, clock } = test;
    ledger.intake.offer({ userId: 1 });
    const wait = ledger.awaited.record({ userId: 2 }, {}).catch((error: LedgerError) => error);
    await clock.advance(49);
    expect(ledger.stats().waiting).toBe(1);
    await clock.advance(1);
    expect(await wait).toMatchObject({
      code: 'LEDGER_WAIT_TIMEOUT',
      outcome: 'dropped',
      waitedMs: 50,
      uuid: expect.stringMatching(/-7/),
    });
    expect(ledger.stats()).toMatchObject({ waiting: 0, dropped: 1, queued: 1 });
    assertConservation(ledger.stats());
    expect(clock.pendingTimers).toBe(1);
  });

  it("rejects with the signal's reason, before and during the wait", async () => {
    const { ledger, clock, lines } = ledgerUnderTest({ bufferSize: 1, batchSize: 1 });
    const reason = new Error('gone');
    const before = ledger.awaited.record({ userId: 1 }, { signal: AbortSignal.abort(reason) });
    await expect(before).rejects.toBe(reason);
    await clock.advance(2000);
    expect(lines, 'the channel was not full').toEqual([]);
    ledger.intake.offer({ userId: 1 });
    const controller = new AbortController();
    const during = ledger.awaited.record({ userId: 2 }, { signal: controller.signal });
    controller.abort(reason);
    await expect(during).rejects.toBe(reason);
    expect(ledger.stats()).toMatchObject({ waiting: 0, dropped: 2, queued: 1 });
    assertConservation(ledger.stats());
  });

  it('lets at most maxWaiting callers wait, and spills their entries at the seal', async () => {
    const { ledger, spillFault } = ledgerUnderTest({ bufferSize: 1, batchSize: 1, maxWaiting: 2 });
    ledger.intake.offer({ userId: 1 });
    const waits = [2, 3, 4].map((userId) =>
      ledger.awaited.record({ userId }, {}).catch((error: unknown) => codeOf(error)),
    );
    expect(await waits[2]).toBe('LEDGER_WAIT_TIMEOUT');
    ledger.handoff.seal();
    expect(await Promise.all(waits.slice(0, 2))).toEqual(['LEDGER_SPILLED', 'LEDGER_SPILLED']);
    expect(ledger.stats()).toMatchObject({ waiting: 0, spilled: 2, dropped: 1 });
    spillFault.error = new Error('no disk');
    await expect(ledger.awaited.record({ userId: 5 }, {})).rejects.toMatchObject({
      code: 'LEDGER_SEALED',
    });
    assertConservation(ledger.stats());
  });

  it('rejects an invalid entry with field and rule', async () => {
    const { ledger } = ledgerUnderTest();
    const uuid = '01890a5d-ac96-774b-bcce-b302099a8058';
    await expect(ledger.awaited.record({ userId: 0, uuid }, {})).rejects.toMatchObject({
      code: 'LEDGER_ENTRY_INVALID',
      field: 'userId',
      uuid,
    });
    await expect(ledger.awaited.record({}, { timeoutMs: -1 })).rejects.toThrow(TypeError);
    assertConservation(ledger.stats());
  });
});

const TABLE = {
  name: 'default',
  schema: undefined,
  table: 'usage_entries',
  ids: 'bigint',
  columns: {},
} as const;
