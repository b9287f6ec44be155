import { describe, expect, it } from 'vitest';
import { ManualClock } from '../testing/manual-clock.js';
import { Surroundings, type ReadUtilization } from './surroundings.js';

describe('Surroundings', () => {
  it('knows the machine at once, and the server after it was looked up', () => {
    const surroundings = new Surroundings(new ManualClock());
    const { cores, maxConnections, eventLoopUtilization } = surroundings.read();
    expect(cores).toBeGreaterThan(0);
    expect(maxConnections).toBeUndefined();
    // The event loop was never idle within this turn of it.
    expect(eventLoopUtilization).toBe(1);
    surroundings.maxConnections = 100;
    surroundings.poolSize = 7;
    expect(surroundings.read()).toMatchObject({ maxConnections: 100, poolSize: 7 });
  });

  it('reports how busy the event loop was recently, for any number of calls', async () => {
    const clock = new ManualClock();
    const loop = { idle: 0, active: 0 };
    const surroundings = new Surroundings(clock, utilizationOf(loop));
    const live = async (seconds: number, busyShare: number): Promise<number | undefined> => {
      loop.active += seconds * busyShare;
      loop.idle += seconds * (1 - busyShare);
      await clock.advance(seconds * 1000);
      return surroundings.read().eventLoopUtilization;
    };
    expect(await live(30, 0.25)).toBe(0.25);
    expect(await live(10, 1)).toBe((7.5 + 10) / 40);
    expect(await live(10, 1)).toBe((7.5 + 20) / 50);
    expect(surroundings.read().eventLoopUtilization).toBe((7.5 + 20) / 50);
    // A mark is set each 30 s; what lies before the last but one is forgotten.
    expect(await live(10, 0.5)).toBe(25 / 30);
    expect(await live(30, 0)).toBe(0);
    expect(await live(15, 1)).toBe(15 / 45);
  });
});

/** Node's function for an event loop whose idle and busy seconds the test sets. */
function utilizationOf(loop: { idle: number; active: number }): ReadUtilization {
  return (since = { idle: 0, active: 0, utilization: 0 }) => {
    const idle = loop.idle - since.idle;
    const active = loop.active - since.active;
    return { idle, active, utilization: active / (idle + active) };
  };
}
