import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { assertConservation, ledgerUnderTest, start } from '../testing/ledger-under-test.js';
import { onAbort } from './on-abort.js';

const listenersOf = ({ signal }: AbortController): number =>
  getEventListeners(signal, 'abort').length;

describe('onAbort', () => {
  it('uses one listener for all waits, and none after the last', () => {
    const controller = new AbortController();
    const called: number[] = [];
    const ends = [0, 1, 2].map((i) => onAbort(controller.signal, () => called.push(i)));
    expect(listenersOf(controller)).toBe(1);
    ends[1]!();
    ends[1]!();
    expect(listenersOf(controller)).toBe(1);
    ends[0]!();
    ends[2]!();
    expect(listenersOf(controller)).toBe(0);
    onAbort(controller.signal, () => called.push(3));
    controller.abort();
    expect(called).toEqual([3]);
  });

  it('lets a callback end the next wait', () => {
    const controller = new AbortController();
    const called: number[] = [];
    const ends: (() => void)[] = [];
    onAbort(controller.signal, () => {
      called.push(1);
      ends[0]!();
    });
    ends.push(onAbort(controller.signal, () => called.push(2)));
    controller.abort();
    expect(called).toEqual([1]);
  });

  it('serves callers who wait for room and for the commit with the same signal', async () => {
    const test = ledgerUnderTest({ bufferSize: 20, batchSize: 20, flushMs: 60_000 });
    await start(test);
    test.sink.hold();
    const controller = new AbortController();
    const { signal } = controller;
    const reason = new Error('gone');
    const waits = Array.from({ length: 60 }, () =>
      test.ledger.awaited.record({ userId: 1 }, { signal }).catch((error: unknown) => error),
    );
    await test.clock.turn();
    expect(test.ledger.stats()).toMatchObject({ inFlight: 20, depth: 20, waiting: 20 });
    expect(listenersOf(controller)).toBe(1);
    controller.abort(reason);
    expect(new Set(await Promise.all(waits))).toEqual(new Set([reason]));
    expect(listenersOf(controller)).toBe(0);
    expect(test.clock.pendingTimers, 'of the dispatcher and the loss reporter').toBeLessThan(3);
    assertConservation(test.ledger.stats());
  });
});
