import { describe, expect, it } from 'vitest';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import { Fleet, REDELIVER_MS } from './fixtures/fleet.fixture.js';

describe('a writer', () => {
  it('sends signs of life for all messages while a dead letter waits for its store', async () => {
    const fleet = new Fleet();
    const gateway = await fleet.gateway();
    let keep = (): void => {};
    const store = (): Promise<void> => new Promise((resolve) => (keep = resolve));
    await fleet.record(gateway, 5);
    const headers = { 'ledger-format': '1' };
    fleet.log.inject('default', { fingerprint: 'f', headers, payload: [] });
    await fleet.record(gateway, 5);
    const options = { batchSize: 50, numWorkers: 2, writeTimeoutMs: 60_000 };
    const writer = await fleet.writer(options, PLAIN_TABLE, {
      deadLetters: { store },
      isHeld: true,
    });
    const other = await fleet.writer({ batchSize: 5 });
    await fleet.clock.advance(5 * REDELIVER_MS);
    expect(writer.ledger.stats().stream).toMatchObject({ unacknowledged: 3, redelivered: 0 });
    expect(other.ledger.stats()).toMatchObject({ received: 0, stream: { redelivered: 0 } });
    for (const held of [...writer.sink.held]) held.release();
    keep();
    await fleet.clock.turn();
    expect(writer.ledger.stats()).toMatchObject({ received: 11, written: 10, deadLettered: 1 });
    expect(writer.ledger.stats().stream).toMatchObject({ unacknowledged: 0 });
    expect(fleet.waiting).toBe(0);
    fleet.assertLaw();
  });
});
