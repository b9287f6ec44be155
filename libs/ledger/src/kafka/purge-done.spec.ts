import type { Admin } from '@platformatic/kafka';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../testing/manual-clock.js';
import type { PartitionLog } from './partition-log.js';
import { Purge } from './purge-done.js';

const LOGS = [{ partition: 0, committed: 7n }] as unknown as readonly PartitionLog[];
const REFUSED = Object.assign(new Error('no'), { apiId: 'TOPIC_AUTHORIZATION_FAILED' });

/** Answers of the brokers in turn, and the number of requests. */
function brokers(...answers: readonly (Error | undefined)[]): {
  admin: Admin;
  asked: () => number;
} {
  let asked = 0;
  const deleteRecords = (): Promise<void> => {
    const answer = answers[asked++];
    return answer === undefined ? Promise.resolve() : Promise.reject(answer);
  };
  return { admin: { deleteRecords } as unknown as Admin, asked: () => asked };
}

describe('a purge', () => {
  it('reports a refusal once, and tries again later, until a person grants the right', async () => {
    const clock = new ManualClock();
    const { admin, asked } = brokers(REFUSED, REFUSED, undefined, REFUSED);
    const purge = new Purge(admin, 'topic', clock);
    await purge.run(LOGS);
    expect(() => purge.check()).toThrow("can't be deleted from topic");
    purge.check();
    await clock.advance(599_999);
    await purge.run(LOGS);
    expect(asked()).toBe(1);
    await clock.advance(1);
    await purge.run(LOGS);
    expect(asked()).toBe(2);
    purge.check();
    await clock.advance(600_000);
    await purge.run(LOGS);
    await clock.advance(10_000);
    await purge.run(LOGS);
    expect(asked()).toBe(4);
    expect(() => purge.check()).toThrow("can't be deleted from topic");
  });

  it('goes on after a topic that no broker knew for a moment', async () => {
    const clock = new ManualClock();
    const { admin, asked } = brokers(new Error('Unknown topic topic.'), undefined);
    const purge = new Purge(admin, 'topic', clock);
    await purge.run(LOGS);
    purge.check();
    await clock.advance(10_000);
    await purge.run(LOGS);
    expect(asked()).toBe(2);
  });
});
