import { describe, expect, it } from 'vitest';
import { encodeField } from '../codec/convert-field.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { DeadLetter } from '../ports/dead-letter-store.interface.js';
import { createRowReader } from '../sink-kit/row-reader.js';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import { Fleet, REDELIVER_MS, takeUuid } from './fixtures/fleet.fixture.js';
import { layoutOf } from './row-layout.js';

const UUID = '01890a5d-ac96-774b-bcce-b302099a8057';
const MODEL: LedgerTable = { ...PLAIN_TABLE, columns: { model: 'text' } };

describe('a gateway and a writer on one stream', () => {
  it('write each entry to the table once, and each process satisfies the law', async () => {
    const fleet = new Fleet();
    const gateways = [await fleet.gateway(), await fleet.gateway()];
    const writers = [await fleet.writer({ batchSize: 20 }), await fleet.writer({ batchSize: 20 })];
    for (const gateway of gateways) await fleet.record(gateway, 53);
    for (const { ledger } of gateways) {
      expect(ledger.stats()).toMatchObject({ queued: 53, published: 53, written: 0, inFlight: 0 });
    }
    const stats = writers.map(({ ledger }) => ledger.stats());
    expect(stats.map(({ written }) => written).reduce((a, b) => a + b)).toBe(106);
    expect(stats.map(({ received }) => received).reduce((a, b) => a + b)).toBe(106);
    const uuids = writers.flatMap(({ sink }) => [...sink.rows.keys()]);
    expect(new Set(uuids).size).toBe(106);
    expect(uuids).toHaveLength(106);
    expect(fleet.waiting).toBe(0);
    fleet.assertLaw();
  });

  it('make one batch of the waiting messages, up to batchSize rows', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    await fleet.record(gateway, 100);
    const { sink } = await fleet.writer({ batchSize: 20 });
    await fleet.clock.turn();
    // The first message alone does not show how many rows the others have.
    expect(sink.calls.map(({ count }) => count)).toEqual([5, 20, 20, 20, 20, 15]);
    expect(sink.calls.every(({ isAwaited, mayExist }) => isAwaited && !mayExist)).toBe(true);
    fleet.assertLaw();
  });

  it('leave messages in the stream that no worker has time for', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const writer = await fleet.writer({ batchSize: 5, numWorkers: 1 });
    writer.sink.hold();
    await fleet.record(gateway, 50);
    expect(writer.ledger.stats()).toMatchObject({ received: 5, inFlight: 5, written: 0 });
    expect(fleet.waiting).toBe(10);
    writer.sink.hold(false);
    for (const held of [...writer.sink.held]) held.release();
    await fleet.clock.advance(10);
    expect(writer.ledger.stats()).toMatchObject({ received: 50, inFlight: 0, written: 50 });
    expect(fleet.waiting).toBe(0);
    fleet.assertLaw();
  });

  it('keep messages during any outage of the database, and write them once', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const writer = await fleet.writer({ batchSize: 5 });
    const other = await fleet.writer({ batchSize: 5 });
    for (const { sink } of [writer, other]) sink.failAlways({ kind: 'transient' });
    await fleet.record(gateway, 20);
    await fleet.clock.advance(20 * REDELIVER_MS);
    expect(fleet.waiting).toBe(4);
    fleet.assertLaw();
    for (const { sink } of [writer, other]) sink.failAlways(undefined);
    await fleet.clock.advance(10_000);
    expect(writer.sink.rows.size + other.sink.rows.size).toBe(20);
    const { duplicate, written } = writer.ledger.stats();
    expect(duplicate + written + other.ledger.stats().written).toBe(20);
    expect(fleet.waiting).toBe(0);
    fleet.assertLaw();
  });

  it('keep all in the stream while the table refuses every batch', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const writer = await fleet.writer({ batchSize: 5 });
    writer.sink.failAlways({ kind: 'halt' });
    await fleet.record(gateway, 20);
    await fleet.clock.advance(60_000);
    expect(writer.ledger.stats()).toMatchObject({ state: 'halted', written: 0, deadLettered: 0 });
    expect(fleet.waiting).toBe(4);
    writer.sink.failAlways(undefined);
    await fleet.clock.advance(10_000);
    expect(writer.sink.rows.size).toBe(20);
    fleet.assertLaw();
  });

  it('dead-letter rows that the table refuses, and acknowledge their message', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const writer = await fleet.writer({ batchSize: 5 });
    writer.sink.refuse(UUID);
    for (let i = 0; i < 4; i++) gateway.ledger.intake.offer({ userId: 1 });
    gateway.ledger.intake.offer({ userId: 1, uuid: UUID });
    await fleet.clock.advance(1000);
    await fleet.record(gateway, 5);
    await fleet.clock.advance(10_000);
    expect(writer.letters).toMatchObject([{ uuid: UUID, reason: 'refused' }]);
    expect(writer.ledger.stats()).toMatchObject({ received: 10, written: 9, deadLettered: 1 });
    expect(fleet.waiting).toBe(0);
    fleet.assertLaw();
  });

  it('end with a duplicate if an acknowledgement was lost', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const stream = fleet.log.connect();
    const { signal } = new AbortController();
    await stream.open({ ledger: 'default', fingerprint: 'any', reads: () => true });
    await fleet.record(gateway, 5);
    const limits = { messages: 1, bytes: 1_000_000, waitMs: 1 };
    const [lost] = await stream.take(limits, signal);
    expect(lost!.redeliveries).toBe(0);
    await fleet.clock.advance(REDELIVER_MS);
    const writer = await fleet.writer({ batchSize: 5 });
    await fleet.clock.turn();
    expect(writer.sink.calls).toMatchObject([{ mayExist: true }]);
    expect(writer.ledger.stats()).toMatchObject({ received: 5, written: 5 });
    fleet.assertLaw();
  });
});

describe('a writer', () => {
  it('refuses its own entries', async () => {
    const fleet = new Fleet();
    const { ledger } = await fleet.writer();
    ledger.handoff.late = undefined;
    expect(ledger.intake.offer({ userId: 1 })).toBe('sealed');
    fleet.assertLaw();
  });

  it('reports the figures of profile auto, although it tunes none', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const writer = await fleet.writer({ profile: 'auto' });
    await fleet.record(gateway, 50);
    const { total: workers } = writer.ledger.stats().workers;
    const figures = { batch: 10_000, delayMs: 0, workers, tried: [] };
    const why = 'a writer of a stream takes the messages that are there, so nothing is tuned';
    expect(writer.ledger.stats().auto).toMatchObject({ ...figures, why });
    expect(writer.ledger.stats().written).toBe(50);
    expect((await fleet.writer()).ledger.stats().auto).toBeNull();
    fleet.assertLaw();
  });

  it('reads rows of an older layout, and leaves those of a newer one', async () => {
    const fleet = new Fleet();
    const older = await fleet.gateway();
    const newer = await fleet.gateway({}, MODEL);
    await fleet.record(older, 5);
    newer.ledger.intake.offer({ userId: 2, model: 'm' });
    await fleet.clock.advance(20);
    const plain = await fleet.writer();
    await fleet.clock.advance(1000);
    expect(plain.sink.rows.size).toBe(5);
    expect(fleet.waiting, 'the newer one waits').toBe(1);
    expect(plain.letters).toEqual([]);
    await fleet.clock.advance(30_000);
    const { fingerprint } = layoutOf(MODEL);
    const notice = `messages wait in the stream for a writer that has their columns: 1 (layout ${fingerprint})`;
    expect(plain.ledger.source.notice).toBe(notice);
    await fleet.clock.advance(60_000);
    expect(fleet.lines.filter((line) => line.includes(notice))).toEqual([`WARNING: ${notice}`]);
    await fleet.record(older, 5);
    expect(plain.sink.rows.size).toBe(10);
    const stop = plain.ledger.shutdown.finish();
    await fleet.clock.advance(100);
    await stop;
    await fleet.record(older, 5);
    const upgraded = await fleet.writer({ batchSize: 100 }, MODEL);
    await fleet.clock.advance(1000);
    const reader = createRowReader(MODEL);
    const models = [...upgraded.sink.rows.values()].map((row) => reader.entry(row));
    expect(models.filter(({ userId }) => userId === '1')).toHaveLength(5);
    expect(models).toContainEqual(expect.objectContaining({ userId: '2', model: 'm' }));
    expect(fleet.waiting).toBe(0);
    await fleet.clock.advance(30_000);
    expect(upgraded.ledger.source.notice).toBeUndefined();
    fleet.assertLaw();
  });

  it('gives rows of an older layout the values that the table gave to existing rows', async () => {
    const fleet = new Fleet();
    const older = await fleet.gateway();
    await fleet.record(older, 5);
    const given = new Map([['model', encodeField('text', 'unknown')!]]);
    const upgraded = await fleet.writer({ batchSize: 100 }, MODEL, { given });
    await fleet.clock.turn();
    const reader = createRowReader(MODEL);
    const entries = [...upgraded.sink.rows.values()].map((row) => reader.entry(row));
    expect(entries).toHaveLength(5);
    for (const entry of entries) expect(entry).toMatchObject({ model: 'unknown' });
    expect(fleet.waiting).toBe(0);
    fleet.assertLaw();
  });

  it('keeps a message that is no batch as a dead letter, with its bytes', async () => {
    const fleet = new Fleet();
    const payload = Buffer.from('no rows');
    const headers = { 'ledger-format': '1', 'ledger-rows': '5' };
    fleet.log.inject('default', { fingerprint: 'f', headers, payload: [payload] });
    const writer = await fleet.writer();
    await fleet.clock.turn();
    expect(writer.letters).toMatchObject([{ reason: 'unreadable', uuid: undefined }]);
    const { entry } = writer.letters[0]!;
    expect(Buffer.from(entry['payload'] as string, 'base64')).toEqual(payload);
    expect(writer.ledger.stats()).toMatchObject({ received: 1, deadLettered: 1 });
    expect(fleet.waiting).toBe(0);
    fleet.assertLaw();
  });

  it.each(['refused', 'conflict'] as const)(
    'leaves a message in the stream while nothing keeps the dead letter of a row: %s',
    async (reason) => {
      const fleet = new Fleet();
      const gateway = await fleet.gateway();
      const letters: DeadLetter[] = [];
      let isFull = true;
      const store = async (given: readonly DeadLetter[]): Promise<void> => {
        if (isFull) throw new Error('the disk is full');
        letters.push(...given);
      };
      const options = { batchSize: 5, retryMaxMs: 1000 };
      const writer = await fleet.writer(options, PLAIN_TABLE, { deadLetters: { store } });
      if (reason === 'refused') writer.sink.refuse(UUID);
      else await takeUuid(writer, UUID);
      gateway.ledger.intake.offer({ userId: 1, uuid: UUID });
      await fleet.record(gateway, 9);
      await fleet.clock.advance(10_000);
      expect(writer.ledger.stats()).toMatchObject({ written: 9, deadLettered: 0, inFlight: 0 });
      expect(writer.ledger.stats().spilled, 'once for each delivery').toBeGreaterThan(1);
      expect(writer.lines.join()).toContain('stays in the stream, and is tried again from there');
      expect(fleet.waiting, 'only the message with the row').toBe(1);
      fleet.assertLaw();
      isFull = false;
      await fleet.clock.advance(10_000);
      expect(letters).toMatchObject([{ uuid: UUID, reason }]);
      expect(writer.ledger.stats()).toMatchObject({ written: 9, deadLettered: 1, inFlight: 0 });
      expect(fleet.waiting).toBe(0);
      fleet.assertLaw();
    },
  );

  it('writes its messages at a stop, and takes no more', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const writer = await fleet.writer({ batchSize: 5, numWorkers: 2 });
    writer.sink.hold();
    await fleet.record(gateway, 50);
    const drained = writer.ledger.shutdown.drain();
    for (const held of [...writer.sink.held]) held.release();
    await fleet.clock.turn();
    await drained;
    const finished = writer.ledger.shutdown.finish();
    await fleet.clock.advance(200);
    expect(await finished).toMatchObject({ written: 10, spilled: 0 });
    expect(fleet.waiting).toBe(8);
    expect(writer.ledger.stats()).toMatchObject({ received: 10, inFlight: 0, state: 'sealed' });
    fleet.assertLaw();
  });

  it('returns at its deadline the messages that the table did not take, and spills nothing', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const writer = await fleet.writer({ batchSize: 5, numWorkers: 2, shutdownTimeoutMs: 1000 });
    writer.sink.failAlways({ kind: 'transient' });
    await fleet.record(gateway, 50);
    const finished = writer.ledger.shutdown.finish();
    await fleet.clock.advance(1500);
    expect(await finished).toMatchObject({ written: 0, spilled: 0 });
    expect(writer.spilled).toEqual([]);
    expect(writer.rows).toEqual([]);
    fleet.assertLaw();
    expect(fleet.waiting).toBe(10);
    const other = await fleet.writer();
    await fleet.clock.turn();
    expect(other.sink.rows.size, 'at once, not after the redelivery').toBe(50);
    expect(fleet.waiting).toBe(0);
  });

  it('reports soon that the stream is reachable again, even without a message', async () => {
    const fleet = new Fleet();
    const { ledger } = await fleet.writer({ retryMaxMs: 1000 });
    fleet.log.failAlways('transient');
    await fleet.clock.advance(5000);
    expect(ledger.source.trouble).toBe('the stream is away');
    fleet.log.failAlways(undefined);
    await fleet.clock.advance(2500);
    expect(ledger.source.trouble).toBeUndefined();
  });

  it('continues after an outage of the stream, and leaves no timer', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const writer = await fleet.writer();
    fleet.log.failAlways('transient');
    await fleet.record(gateway, 5);
    await fleet.clock.advance(20_000);
    expect(writer.ledger.source.trouble).toBe('the stream is away');
    fleet.log.failAlways(undefined);
    await fleet.clock.advance(20_000);
    expect(writer.sink.rows.size).toBe(5);
    expect(writer.ledger.source.trouble).toBeUndefined();
    const told = writer.lines.filter((line) => line.includes('from the stream'));
    expect(told[0]).toBe('taking from the stream fails: the stream is away; trying again');
    expect(told[1]).toMatch(/^taking from the stream again after \d+\.\ds$/);
    expect(told).toHaveLength(2);
    for (const { ledger } of [gateway, writer]) {
      const finished = ledger.shutdown.finish();
      await fleet.clock.advance(200);
      await finished;
      await ledger.sink.close();
    }
    await fleet.clock.advance(60_000);
    expect(fleet.clock.pendingTimers).toBe(0);
    expect(fleet.clock.pendingHolds).toBe(0);
  });
});
