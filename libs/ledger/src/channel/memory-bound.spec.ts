import { describe, expect, it } from 'vitest';
import { RowCodec } from '../codec/row-codec.js';
import { SLAB_FOOTPRINT_BYTES } from '../codec/slab.js';
import { newRun } from '../codec/uuid.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { Counters } from '../stats/counters.js';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import { systemClock } from '../clock/clock.js';
import type { Slab } from '../codec/slab.js';
import type { Batch } from './batch.js';
import { Handoff } from './handoff.js';
import { Intake } from './intake.js';

const MIB = 1_048_576;
const MAX_BYTES = 24 * MIB;
/** The writing end, and slabs kept for the next entries. */
const CONSTANT_BYTES = 6 * SLAB_FOOTPRINT_BYTES + MIB;
const TEXTS = { a: 'text', b: 'text', c: 'text', d: 'text' } as const;

function channelWith(
  table: LedgerTable,
  maxBytes = MAX_BYTES,
): { handoff: Handoff; intake: Intake } {
  const clock = systemClock;
  const waiting = { maxWaiting: 10_000, maxWaitingBytes: MAX_BYTES / 8 };
  const handoff = new Handoff({ capacity: 10_000_000, maxBytes, ...waiting }, clock);
  const ignore = (): void => {};
  const intake = new Intake({
    ...{ handoff, clock, codec: new RowCodec(table), counters: new Counters() },
    refusesKeyUuids: true,
    onUnknown: () => undefined,
    ...{ run: newRun(), onDropped: ignore, onLate: ignore, onRefused: ignore, onInvalid: ignore },
  });
  return { handoff, intake };
}

/** Memory of all buffers now. Memory released by others in this process only lowers it. */
const used = (): number => process.memoryUsage().arrayBuffers;

describe('bufferMaxBytes', () => {
  it.each([
    { rows: 'small', entry: { userId: 1 }, table: PLAIN_TABLE },
    { rows: 'of 8 KiB', entry: { userId: 1, memo: 'x'.repeat(8192) }, table: PLAIN_TABLE },
    {
      rows: 'of five texts, whose bound is three times their size',
      entry: { userId: 1, memo: 'x'.repeat(2700), ...fourTexts('x'.repeat(2700)) },
      table: { ...PLAIN_TABLE, columns: TEXTS },
    },
  ])('bounds the memory of the process, with rows $rows', ({ entry, table }) => {
    const { handoff, intake } = channelWith(table);
    const { channel } = handoff;
    const before = used();
    while (intake.offer(entry) === 'queued');
    expect(used() - before).toBeLessThan(MAX_BYTES + CONSTANT_BYTES);
    expect(channel.saturation).toBeGreaterThan(0.99);
    expect(channel.bytes, 'the bound leaves most of it to the rows').toBeGreaterThan(
      MAX_BYTES * 0.7,
    );
  });

  it('bounds the memory of a channel that uses blocks', () => {
    const maxBytes = 120 * MIB;
    const { intake } = channelWith(PLAIN_TABLE, maxBytes);
    const before = used();
    while (intake.offer({ userId: 1, memo: 'x'.repeat(8192) }) === 'queued');
    expect(used() - before).toBeLessThan(maxBytes + CONSTANT_BYTES);
  });

  it('counts an unsettled row with the memory that it holds', () => {
    const { handoff, intake } = channelWith(PLAIN_TABLE);
    const { channel } = handoff;
    const left: Batch<Slab>[] = [];
    const before = used();
    for (;;) {
      let outcome = '';
      for (let i = 0; i < 11_000; i++) outcome = intake.offer({ userId: 1 });
      if (outcome !== 'queued') break;
      left.push(channel.take(1)!);
      while (channel.depth > 0) channel.settle(channel.take(1000)!);
    }
    expect(channel.bytes).toBeLessThan(MIB * 2);
    expect(channel.saturation).toBe(1);
    expect(used() - before).toBeLessThan(MAX_BYTES + CONSTANT_BYTES);
    while (channel.depth > 0) channel.settle(channel.take(1000)!);
    for (const batch of left) channel.settle(batch);
    expect(channel).toMatchObject({ bytes: 0, saturation: 0 });
    expect(intake.offer({ userId: 1 })).toBe('queued');
  });

  it('bounds the additional memory of waiting callers', () => {
    const { intake, handoff } = channelWith({ ...PLAIN_TABLE, columns: TEXTS });
    const entry = { userId: 1, ...fourTexts('x'.repeat(8000)) };
    while (intake.offer(entry) === 'queued');
    const before = used();
    const limits = { timeoutMs: 60_000, signal: undefined };
    const outcomes: string[] = [];
    while (outcomes.length === 0) {
      intake.place(entry, limits, ({ outcome }) => outcomes.push(outcome));
    }
    expect(outcomes).toEqual(['dropped']);
    expect(handoff.room.waiting).toBeGreaterThan(80);
    expect(used() - before).toBeLessThan(MAX_BYTES / 8 + MIB);
    handoff.seal();
    expect(handoff.room.waiting).toBe(0);
  });
});

function fourTexts(text: string): Record<string, string> {
  return { a: text, b: text, c: text, d: text };
}
