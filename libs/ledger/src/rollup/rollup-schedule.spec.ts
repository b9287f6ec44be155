import { afterEach, describe, expect, it } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import { ManualClock } from '../testing/manual-clock.js';
import { DeadlineError } from '../clock/deadline.js';
import type { RefreshResult } from './rollup-refresher.js';
import { RollupSchedule } from './rollup-schedule.js';

const MINUTE_MS = 60_000;

describe('RollupSchedule', () => {
  const clock = new ManualClock();
  let refreshes = 0;
  let written = 0;
  let result: RefreshResult = { outcome: 'idle', isBehind: false };
  let failure: Error | undefined;
  let schedule: RollupSchedule;
  const warnings: string[] = [];
  const start = (): void => {
    const none = (): void => {};
    schedule = new RollupSchedule({
      refresher: {
        refresh: () => {
          refreshes++;
          return failure ? Promise.reject(failure) : Promise.resolve(result);
        },
      },
      clock,
      logger: { log: none, warn: (line) => void warnings.push(line), error: none },
      definition: defineLedger(),
      written: () => written,
    });
    schedule.start();
  };
  const refreshesIn = async (ms: number): Promise<number> => {
    refreshes = 0;
    await clock.advance(ms);
    return refreshes;
  };
  afterEach(() => schedule.stop());

  it('asks about once a minute while idle, and soon after entries were written', async () => {
    start();
    await clock.advance(10 * MINUTE_MS);
    const idle = await refreshesIn(20 * MINUTE_MS);
    expect(idle).toBeGreaterThan(10);
    expect(idle).toBeLessThan(25);
    written = 1;
    const busy = await refreshesIn(MINUTE_MS);
    expect(busy).toBeGreaterThanOrEqual(7);
    await clock.advance(10 * MINUTE_MS);
    expect(await refreshesIn(20 * MINUTE_MS)).toBeLessThan(25);
  });

  it('asks every few seconds while there is something to add', async () => {
    result = { outcome: 'refreshed', isBehind: false };
    start();
    await clock.advance(MINUTE_MS);
    expect(await refreshesIn(20 * MINUTE_MS)).toBeGreaterThan(20 * 7);
    result = { outcome: 'refreshed', isBehind: false, isBusy: true };
    await clock.advance(MINUTE_MS);
    expect(await refreshesIn(20 * MINUTE_MS)).toBeGreaterThan(20 * 20);
    schedule.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  it('continues when the wall clock is set back', async () => {
    result = { outcome: 'idle', isBehind: false };
    start();
    await clock.advance(10 * MINUTE_MS);
    clock.setNow(clock.now() - 24 * 60 * MINUTE_MS);
    expect(await refreshesIn(20 * MINUTE_MS)).toBeGreaterThan(10);
  });

  it('rests after a refresh that did not end in time, and reports the remedy once', async () => {
    failure = new DeadlineError(60_000);
    start();
    // The pause until the next is longer than a refresh, so that the server can rest.
    expect(await refreshesIn(1.5 * MINUTE_MS)).toBe(1);
    failure = undefined;
    expect(warnings).toEqual([
      expect.stringMatching(
        /rollups are not refreshed at the moment .*reads stay exact.*`npx nestjs-ledger rollup --rebuild`/,
      ),
    ]);
  });

  it('looks for rollups again later, although the definition requests none and they are gone', async () => {
    failure = Object.assign(new Error('gone'), { code: '42P01', severity: 'ERROR' });
    warnings.length = 0;
    start();
    await clock.advance(MINUTE_MS);
    expect(await refreshesIn(4 * MINUTE_MS)).toBe(0);
    failure = undefined;
    expect(await refreshesIn(20 * MINUTE_MS)).toBeGreaterThan(5);
    expect(warnings).toEqual([]);
  });
});
