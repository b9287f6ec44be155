import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { UuidColumn } from '../codec/uuid-column.js';
import { newEntryUuid } from '../codec/uuid.js';
import { ledgerUnderTest, start, type LedgerUnderTest } from '../testing/ledger-under-test.js';
import { KnownUuids } from './known-uuids.js';

const last = ({ sink }: LedgerUnderTest): string => [...sink.rows.keys()].at(-1)!;

/** The uuid that the run makes after this many entries and milliseconds. */
function later(uuid: string, sequence: number, ms = 0): string {
  const digits = BigInt(`0x${uuid.replaceAll('-', '')}`) + BigInt(sequence) + (BigInt(ms) << 80n);
  const hex = digits.toString(16).padStart(32, '0');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

async function written(test: LedgerUnderTest, entry: object): Promise<string> {
  test.ledger.intake.offer(entry);
  await test.clock.advance(2000);
  return last(test);
}

describe('a uuid from a caller', () => {
  it.each([
    ['the next of the run', (uuid: string) => later(uuid, 1, 1)],
    ['one far ahead in the run', (uuid: string) => later(uuid, 2 ** 40, 60_000)],
    ['one that the run used for another caller', (uuid: string) => uuid],
    ['one of the run in capitals', (uuid: string) => later(uuid, 1).toUpperCase()],
  ])('is refused if it is %s', async (_, forge) => {
    const test = ledgerUnderTest();
    await start(test);
    const seen = await written(test, { userId: 1 });
    expect(test.ledger.intake.offer({ userId: 2, uuid: forge(seen) })).toBe('invalid');
    expect(test.ledger.intake.lastFault).toMatchObject({ field: 'uuid' });
    // The entry whose uuid a forged one would have taken.
    await written(test, { userId: 3 });
    expect(test.ledger.stats()).toMatchObject({ written: 2, invalid: 1, conflicts: 0 });
  });

  it('is refused if it belongs to an idempotency key, whose user and key can be guessed', async () => {
    const test = ledgerUnderTest();
    await start(test);
    const uuid = await written(test, { userId: 1, idempotencyKey: 'order 17' });
    const other = ledgerUnderTest();
    await start(other);
    expect(other.ledger.intake.offer({ userId: 2, uuid })).toBe('invalid');
    await written(other, { userId: 1, idempotencyKey: 'order 17', promptTokens: 5 });
    expect(last(other)).toBe(uuid);
  });

  it('is accepted otherwise: of newEntryUuid(), of another run, or from elsewhere', () => {
    const { intake } = ledgerUnderTest().ledger;
    for (let i = 0; i < 1000; i++) {
      const bytes = randomBytes(16);
      bytes[6] = ((1 + (i % 7)) << 4) | (bytes[6]! & 0x0f);
      bytes[8] = 0x80 | (bytes[8]! & 0x3f);
      const uuid = bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
      expect(intake.offer({ userId: 1, uuid })).toBe('queued');
      expect(intake.offer({ userId: 1, uuid: newEntryUuid() })).toBe('queued');
    }
  });

  it.each([
    ['of the run', {}],
    ['of an idempotency key', { idempotencyKey: 'k' }],
  ])('may be repeated by the caller who received it: %s', async (_, more) => {
    const test = ledgerUnderTest({ commitTimeoutMs: 10 });
    const answer = test.ledger.awaited
      .record({ userId: 1, ...more }, {})
      .catch((error: { code: string; uuid: string }) => error);
    await test.clock.advance(20);
    const { uuid } = await answer;
    expect(await answer).toMatchObject({ code: 'LEDGER_WAIT_TIMEOUT' });
    await start(test);
    await test.clock.advance(2000);
    expect(test.ledger.intake.offer({ userId: 1, uuid })).toBe('queued');
    // Only its own uuid: the next one of the run belongs to another caller, and with another time
    // it belongs to none.
    expect(test.ledger.intake.offer({ userId: 1, uuid: later(uuid, 1) })).toBe('invalid');
    const atAnotherTime = test.ledger.intake.offer({ userId: 1, uuid: later(uuid, 0, 1) });
    if (!('idempotencyKey' in more)) expect(atAnotherTime).toBe('invalid');
  });

  describe('after its answer', () => {
    const RUN = 0x12345678;
    const ofRun = (sequence: number): string =>
      later('01990000-0000-7123-9159-e00000000000', sequence);
    const ofKey = (answer: number): string =>
      `00000000-0000-8000-8000-${answer.toString(16).padStart(12, '0')}`;
    const known = (): KnownUuids => new KnownUuids(RUN, true);

    /** The forgotten ones among these answers. */
    function forgotten(by: KnownUuids, uuids: readonly string[]): string[] {
      const column = new UuidColumn();
      return uuids.filter((uuid) => {
        expect(column.take(uuid)).toBeUndefined();
        return by.refuses(column);
      });
    }

    // An answer takes less than a microsecond. If its cost grew with the number of earlier answers,
    // so many would exceed the limit, which the runner checks between two turns.
    it.each([
      ['of keys', ofKey],
      ['of the run', ofRun],
      ['of the run, beyond 32 bits', (answer: number) => ofRun(2 ** 40 + answer * 1000)],
    ])(
      'is remembered among at least the newest 65,536: %s',
      async (_, uuidOf) => {
        const all = known();
        for (let answer = 0; answer < 400_000; answer++) {
          all.noteAnswered(uuidOf(answer));
          if (answer % 10_000 === 0) await setImmediate();
        }
        const [first, lost, ...kept] = [0, 200_000, 334_464, 399_999].map(uuidOf);
        expect(forgotten(all, [first!, lost!, ...kept])).toEqual([first, lost]);
      },
      15_000,
    );

    it('becomes the newest when it is answered again', () => {
      const all = known();
      const again = ofKey(0);
      for (let answer = 0; answer < 65_536; answer++) all.noteAnswered(ofKey(answer));
      all.noteAnswered(again);
      for (let answer = 65_537; answer < 131_073; answer++) all.noteAnswered(ofKey(answer));
      expect(forgotten(all, [again, ofKey(1)])).toEqual([ofKey(1)]);
    });
  });
});
