import { describe, expect, it } from 'vitest';
import { SinkRowError } from '../errors/sink.errors.js';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import { Fleet } from './fixtures/fleet.fixture.js';

describe('a gateway', () => {
  it('keeps entries while the stream is unreachable, and publishes them afterwards', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    fleet.log.failAlways('transient');
    await fleet.record(gateway, 12);
    expect(gateway.ledger.stats()).toMatchObject({ queued: 12, published: 0 });
    fleet.log.failAlways('halt');
    await fleet.clock.advance(30_000);
    expect(gateway.ledger.stats()).toMatchObject({ state: 'halted', published: 0 });
    fleet.assertLaw();
    fleet.log.failAlways(undefined);
    await fleet.clock.advance(30_000);
    expect(gateway.ledger.stats()).toMatchObject({ published: 12, state: 'running' });
    fleet.assertLaw();
  });

  it('publishes smaller messages once the stream refuses the size', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway({ batchSize: 200 }, PLAIN_TABLE, (stream) => {
      const publish = stream.publish.bind(stream);
      stream.publish = async (message, timeoutMs) => {
        if (message.bytes > 50_000) throw new SinkRowError('a message is larger than I take');
        await publish(message, timeoutMs);
      };
    });
    const memo = 'm'.repeat(2000);
    for (let i = 0; i < 150; i++) gateway.ledger.intake.offer({ userId: 1, memo });
    await fleet.clock.advance(60_000);
    expect(gateway.ledger.stats()).toMatchObject({ published: 150, deadLettered: 0, inFlight: 0 });
    const writer = await fleet.writer();
    await fleet.clock.turn();
    expect(writer.sink.rows.size).toBe(150);
    fleet.assertLaw();
  });

  it('answers waiting callers once the stream has acknowledged', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    const answer = gateway.ledger.awaited.record({ userId: 1 }, { until: 'durable' });
    await fleet.clock.turn();
    await answer;
    expect(fleet.waiting).toBe(1);
  });
});
