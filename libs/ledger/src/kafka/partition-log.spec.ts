import { describe, expect, it } from 'vitest';
import type { StoredMessage } from './kafka-message.js';
import { messagesOf } from './kafka-message.js';
import { PartitionLog } from './partition-log.js';

const stored = (offset: number, layout = 'a', bytes = 1): StoredMessage => ({
  offset: BigInt(offset),
  timestamp: 0,
  fingerprint: layout,
  headers: { layout },
  payload: Buffer.alloc(bytes),
});

/** A partition from offset 10 on that reads messages of the layout `a`. */
function setUp() {
  const time = { now: 0 };
  const log = new PartitionLog({
    ...{ topicId: 'a', partition: 0, from: 10n },
    reads: ({ layout }) => layout === 'a',
    now: () => time.now,
    changed: () => undefined,
  });
  const receive = (...messages: StoredMessage[]): void => {
    log.receive(messages, messages.at(-1)!.offset + 1n);
  };
  return { log, time, receive, next: (bytes = 100) => log.next(bytes) };
}

describe('a partition', () => {
  it('is done up to its lowest unfinished message, in any order', () => {
    const { log, receive, next } = setUp();
    receive(stored(10), stored(11), stored(12));
    const [first, second] = [next()!, next()!];
    second.done();
    expect(log.doneUpTo).toBe(10n);
    first.done();
    first.done();
    // The third was not taken.
    expect(log.doneUpTo).toBe(12n);
    next()!.done();
    expect(log.doneUpTo).toBe(13n);
  });

  it('redelivers from memory after the time, and is not done up to there before', () => {
    const { log, time, receive, next } = setUp();
    receive(stored(10), stored(11));
    const first = next()!;
    first.later(100);
    first.done();
    next()!.done();
    expect(log.doneUpTo).toBe(10n);
    expect([next(), log.nextAt]).toEqual([undefined, 100]);
    time.now = 100;
    const again = next()!;
    expect(again.redeliveries).toBe(1);
    again.done();
    expect(log.doneUpTo).toBe(12n);
  });

  it('stops before an unreadable message', () => {
    const { log, receive, next } = setUp();
    receive(stored(10), stored(11, 'b'), stored(12));
    next()!.done();
    expect(next()).toBeUndefined();
    expect([log.doneUpTo, log.position]).toEqual([11n, 13n]);
  });

  it('returns no message larger than requested', () => {
    const { receive, next } = setUp();
    receive(stored(10, 'a', 50));
    expect(next(49)).toBeUndefined();
    expect(next(50)?.payload.length).toBe(50);
  });

  it('ignores the fate of its messages once it is lost', () => {
    const { log, receive, next } = setUp();
    receive(stored(10));
    const taken = next()!;
    log.isLost = true;
    taken.done();
    taken.later(0);
    expect([log.doneUpTo, log.nextAt]).toEqual([10n, Number.POSITIVE_INFINITY]);
  });

  it('has at most 1,000 messages after an unfinished one', () => {
    const { receive, next } = setUp();
    receive(...Array.from({ length: 1100 }, (_, index) => stored(10 + index)));
    const first = next()!;
    let taken = 1;
    for (let message = next(); message !== undefined; message = next(), taken++) message.done();
    expect(taken).toBe(1000);
    first.done();
    expect(next()).toBeDefined();
  });
});

describe('messages of batches', () => {
  const record = (offsetDelta: number) => ({
    ...{ offsetDelta, timestampDelta: 1n, key: Buffer.from('a'), value: Buffer.from('rows') },
    headers: [[Buffer.from('name'), Buffer.from('value')]] as const,
  });

  it('begin at the requested offset, and exclude marks of transactions', () => {
    const batch = { firstOffset: 5n, firstTimestamp: 1000n, attributes: 0 };
    const found = messagesOf(
      [
        { ...batch, records: [record(0), record(1)] },
        { ...batch, firstOffset: 7n, attributes: 0x20, records: [record(0)] },
      ],
      6n,
    );
    expect(found).toEqual([
      {
        ...{ offset: 6n, timestamp: 1001, fingerprint: 'a', headers: { name: 'value' } },
        payload: Buffer.from('rows'),
      },
    ]);
  });
});
