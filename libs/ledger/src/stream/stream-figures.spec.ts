import { describe, expect, it } from 'vitest';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import { Fleet, REDELIVER_MS } from './fixtures/fleet.fixture.js';

describe('figures of a stream', () => {
  it('count the messages that a gateway publishes, and show those waiting for writers', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    expect(gateway.ledger.stats().stream).toMatchObject({ role: 'gateway', published: 0 });
    await fleet.record(gateway, 12);
    await fleet.clock.advance(12_000);
    const bytes = fleet.log.payloads().reduce((sum, { length }) => sum + length, 0);
    const { stream } = gateway.ledger.stats();
    expect(stream).toMatchObject({ published: 3, publishedBytes: bytes, unacknowledged: 0 });
    expect(stream!.waiting).toMatchObject({ messages: 3, bytes, unread: 3 });
    expect(stream!.waiting!.oldestAgeMs).toBeGreaterThanOrEqual(9000);
    await fleet.writer();
    await fleet.clock.advance(12_000);
    expect(gateway.ledger.stats().stream!.waiting).toMatchObject({ messages: 0, oldestAgeMs: 0 });
    fleet.assertLaw();
  });

  it('are unknown while the stream does not answer', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    await fleet.record(gateway, 1);
    expect(gateway.ledger.stats().stream!.waiting).not.toBeNull();
    fleet.log.failAlways('transient');
    await fleet.clock.advance(12_000);
    expect(gateway.ledger.stats().stream!.waiting).toBeNull();
    fleet.log.failAlways(undefined);
    await fleet.clock.advance(12_000);
    expect(gateway.ledger.stats().stream!.waiting).toMatchObject({ messages: 1 });
    fleet.assertLaw();
  });

  it('are missed aloud, once, while a person has to permit looking', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const missed = 'WARNING: the waiting messages are not known: the stream refuses every message';
    for (let refusal = 1; refusal <= 2; refusal++) {
      fleet.log.failAlways('halt');
      await fleet.clock.advance(32_000);
      expect(fleet.lines).toEqual(Array<string>(refusal).fill(missed));
      fleet.log.failAlways(undefined);
      await fleet.clock.advance(12_000);
      expect(gateway.ledger.stats().stream!.waiting).toMatchObject({ messages: 0 });
    }
    fleet.assertLaw();
  });

  it('count the messages that a writer has, and redeliveries', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const { signal } = new AbortController();
    const lost = fleet.log.connect();
    await lost.open({ ledger: 'default', fingerprint: 'any', reads: () => true });
    await fleet.record(gateway, 5);
    await lost.take({ messages: 1, bytes: 1_000_000, waitMs: 1 }, signal);
    await fleet.clock.advance(REDELIVER_MS);
    const writer = await fleet.writer({ batchSize: 5 }, PLAIN_TABLE);
    writer.sink.hold();
    await fleet.record(gateway, 5);
    const before = writer.ledger.stats().stream!;
    expect(before).toMatchObject({ role: 'writer', redelivered: 1, published: 0 });
    expect(before.unacknowledged).toBeGreaterThan(0);
    writer.sink.hold(false);
    for (const held of [...writer.sink.held]) held.release();
    await fleet.clock.advance(1000);
    expect(writer.ledger.stats().stream).toMatchObject({ unacknowledged: 0, redelivered: 1 });
    fleet.assertLaw();
  });
});
