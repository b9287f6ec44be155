import { describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { describeStreamConformance } from '../sink-kit/stream-conformance.js';
import { InMemoryStream } from './in-memory.stream.js';
import { ManualClock } from './manual-clock.js';

describeStreamConformance(
  'memory',
  async () => {
    const stream = new InMemoryStream({ redeliverMs: 500, maxPayloadBytes: 65_536 });
    return {
      connect: () => stream.connect(),
      block: async () => {
        stream.failAlways('transient');
        return async () => stream.failAlways(undefined);
      },
      dispose: async () => undefined,
    };
  },
  { runner: { describe, it } },
);

describe('InMemoryStream', () => {
  it('redelivers by the given clock', async () => {
    const clock = new ManualClock();
    const stream = new InMemoryStream({ clock, redeliverMs: 1000 });
    const writer = stream.connect();
    await writer.open({ ledger: 'usage', fingerprint: 'f', reads: () => true });
    stream.inject('usage', { fingerprint: 'f', headers: {}, payload: [Buffer.from('a')] });
    const limits = { messages: 1, bytes: 100, waitMs: 10_000 };
    const { signal } = new AbortController();
    expect(await writer.take(limits, signal)).toMatchObject([{ redeliveries: 0 }]);
    const again = writer.take(limits, signal);
    await clock.advance(1000);
    expect(await again).toMatchObject([{ redeliveries: 1 }]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('refuses every call while requested', async () => {
    const stream = new InMemoryStream();
    stream.failAlways('halt');
    const error: unknown = await stream
      .connect()
      .ping(1)
      .catch((each: unknown) => each);
    expect(isLedgerError(error, 'SINK_HALT')).toBe(true);
  });
});
