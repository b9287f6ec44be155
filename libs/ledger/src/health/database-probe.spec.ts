import { describe, expect, it } from 'vitest';
import { SinkTransientError } from '../errors/sink.errors.js';
import { DatabaseProbe, PING_REUSE_MS, PING_TIMEOUT_MS } from './database-probe.js';
import type { ProbeClock } from './database-probe.js';

/** A clock that only advances on request. */
function standingClock(): ProbeClock & { advance(ms: number): void; readonly timers: number } {
  let time = 0;
  const waiting = new Set<{ at: number; callback: () => void }>();
  return {
    monotonic: () => time,
    after(ms, callback) {
      const timer = { at: time + ms, callback };
      waiting.add(timer);
      return { cancel: () => void waiting.delete(timer) };
    },
    nextTurn: setImmediate,
    get timers() {
      return waiting.size;
    },
    advance(ms) {
      time += ms;
      for (const timer of waiting) {
        if (timer.at > time) continue;
        waiting.delete(timer);
        timer.callback();
      }
    },
  };
}

/** A database that answers on request. */
function database() {
  const pings: { timeoutMs: number; answer: () => void; fail: (error: unknown) => void }[] = [];
  const ping = (timeoutMs: number): Promise<void> =>
    new Promise((resolve, reject) => pings.push({ timeoutMs, answer: resolve, fail: reject }));
  return { pings, ping };
}

describe('DatabaseProbe', () => {
  it('pings with a limit below a second and reports that the database answers', async () => {
    const { pings, ping } = database();
    const clock = standingClock();
    const asked = new DatabaseProbe(ping, clock).ask();
    expect(pings.map(({ timeoutMs }) => timeoutMs)).toEqual([PING_TIMEOUT_MS]);
    expect(PING_TIMEOUT_MS).toBeLessThan(1000);
    pings[0]?.answer();
    expect(await asked).toEqual({ database: 'up' });
    expect(clock.timers).toBe(0);
  });

  it('pings once for a storm of probes, and again a second after the answer', async () => {
    const { pings, ping } = database();
    const clock = standingClock();
    const probe = new DatabaseProbe(ping, clock);
    const storm = Array.from({ length: 1000 }, () => probe.ask());
    expect(pings).toHaveLength(1);
    pings[0]?.answer();
    expect(new Set((await Promise.all(storm)).map((answer) => answer.database))).toEqual(
      new Set(['up']),
    );
    clock.advance(PING_REUSE_MS - 1);
    expect(await probe.ask()).toEqual({ database: 'up' });
    expect(pings).toHaveLength(1);
    clock.advance(1);
    const again = probe.ask();
    expect(pings).toHaveLength(2);
    pings[1]?.fail(new Error('gone'));
    expect(await again).toEqual({ database: 'away' });
  });

  it.each([
    [Object.assign(new Error('to db:5432'), { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
    [Object.assign(new Error('x'), { code: 'SINK_TRANSIENT', sqlState: '57P03' }), '57P03'],
    [new SinkTransientError('x', { sqlState: 'ECONNRESET', outcomeKnown: true }), 'ECONNRESET'],
    [new SinkTransientError('no answer within 500 ms', { outcomeKnown: true }), undefined],
    [Object.assign(new Error('x'), { code: 'postgres://u:hush@db' }), undefined],
    [undefined, undefined],
    ['hush', undefined],
  ])('tells the code of a refusal and nothing else: %s', async (error, code) => {
    const { pings, ping } = database();
    const asked = new DatabaseProbe(ping, standingClock()).ask();
    pings[0]?.fail(error);
    expect(await asked).toEqual(
      code === undefined ? { database: 'away' } : { database: 'away', code },
    );
  });

  it('counts a synchronously throwing ping as away', async () => {
    const probe = new DatabaseProbe(() => {
      throw new Error('no pool');
    }, standingClock());
    expect(await probe.ask()).toEqual({ database: 'away' });
  });

  it('answers at the limit although the ping does not, and never has two pings under way', async () => {
    const { pings, ping } = database();
    const clock = standingClock();
    const probe = new DatabaseProbe(ping, clock);
    const silent = probe.ask();
    clock.advance(PING_TIMEOUT_MS);
    expect(await silent).toEqual({ database: 'away' });
    clock.advance(PING_REUSE_MS);
    expect(await probe.ask()).toEqual({ database: 'away' });
    expect(pings).toHaveLength(1);
    pings[0]?.answer();
    await new Promise(setImmediate);
    clock.advance(PING_REUSE_MS);
    const next = probe.ask();
    expect(pings).toHaveLength(2);
    pings[1]?.answer();
    expect(await next).toEqual({ database: 'up' });
  });

  it('returns the last answer at once, and pings again for the next caller', async () => {
    const { pings, ping } = database();
    const clock = standingClock();
    const probe = new DatabaseProbe(ping, clock);
    const first = probe.lastAnswer();
    pings[0]?.answer();
    expect(await first).toEqual({ database: 'up' });
    clock.advance(PING_REUSE_MS);
    expect(await probe.lastAnswer()).toEqual({ database: 'up' });
    expect(pings).toHaveLength(2);
    pings[1]?.fail(new Error('gone'));
    await new Promise(setImmediate);
    expect(await probe.lastAnswer()).toEqual({ database: 'away' });
    expect(pings).toHaveLength(2);
  });
});
