import { describe, expect, it } from 'vitest';
import { ManualClock } from '../testing/manual-clock.js';
import { Surroundings } from './surroundings.js';

describe('Surroundings', () => {
  it('knows the machine at once, and the server when it was told', () => {
    const surroundings = new Surroundings(new ManualClock());
    const { cores, maxConnections, eventLoopUtilization } = surroundings.read();
    expect(cores).toBeGreaterThan(0);
    expect(maxConnections).toBeUndefined();
    expect(eventLoopUtilization).toBeGreaterThanOrEqual(0);
    surroundings.maxConnections = 100;
    surroundings.poolSize = 7;
    expect(surroundings.read()).toMatchObject({ maxConnections: 100, poolSize: 7 });
  });

  it('tells how busy the event loop was of late, however often it is asked', async () => {
    const clock = new ManualClock();
    const surroundings = new Surroundings(clock);
    await clock.advance(30_000);
    surroundings.read();
    spin(50);
    expect(surroundings.read().eventLoopUtilization).toBeGreaterThan(0.5);
    await clock.advance(30_000);
    surroundings.read();
    await clock.advance(30_000);
    const before = surroundings.read().eventLoopUtilization;
    expect(surroundings.read().eventLoopUtilization).not.toBe(0);
    expect(before).toBeLessThanOrEqual(1);
  });
});

/** Keeps the event loop busy for some real milliseconds. */
function spin(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}
