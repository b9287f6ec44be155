import { describe, expect, it } from 'vitest';
import type { LedgerStats } from '../ports/ledger-stats.interface.js';
import { ManualClock } from '../testing/manual-clock.js';
import { AdviceWatch } from './advice-watch.js';
import type { AdviceEnvironment } from './finding.interface.js';
import { QUIET, samplesOf, SHORT, type Load } from './fixtures/load.fixture.js';

const MINUTE_MS = 60_000;
/** The first look has no window yet. */
const TOLD_AFTER_MS = 70_000;

/** A watch over a ledger whose load a test changes as it goes. */
function watched(environment: AdviceEnvironment = {}) {
  const clock = new ManualClock();
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const ledger = { load: QUIET, looks: 0, base: samplesOf(QUIET)[0]!.stats };
  const stats = (): LedgerStats => {
    ledger.looks++;
    ledger.base = continued(ledger.base, ledger.load);
    return ledger.base;
  };
  const logger = { log: write, warn: write, error: write };
  const watch = new AdviceWatch({ clock, logger, stats, environment: () => environment });
  return { clock, lines, ledger, watch };
}

/** Ten seconds more of a load. */
function continued(before: LedgerStats, load: Load): LedgerStats {
  const [from, to] = samplesOf(load).map(({ stats }) => stats);
  const grown = (name: 'offered' | 'queued' | 'dropped' | 'written'): number =>
    before[name] + to![name] - from![name];
  const flushes = {
    count: before.flushes.count + to!.flushes.count - from!.flushes.count,
    entries: before.flushes.entries + to!.flushes.entries - from!.flushes.entries,
    ms: before.flushes.ms + to!.flushes.ms - from!.flushes.ms,
  };
  const counters = {
    offered: grown('offered'),
    queued: grown('queued'),
    dropped: grown('dropped'),
    written: grown('written'),
  };
  return { ...to!, ...counters, flushes };
}

describe('AdviceWatch', () => {
  it('says what persists once, with setting, value and numbers', async () => {
    const { clock, lines, ledger, watch } = watched({ cores: 8, maxConnections: 100 });
    watch.start();
    ledger.load = SHORT;
    await clock.advance(TOLD_AFTER_MS - 1);
    expect(lines).toEqual([]);
    await clock.advance(10 * MINUTE_MS);
    expect(lines).toEqual([
      'WARNING: 60,000 entries were dropped in 30 s: raise numWorkers from 1 to 2 ' +
        '(dropped 60,000 entries, offered 12,000 entries/s, settled 10,000 entries/s, ' +
        'workers busy 100 %, saturation 100 %)',
    ]);
  });

  it('says nothing of a burst', async () => {
    const { clock, lines, ledger, watch } = watched();
    watch.start();
    await clock.advance(MINUTE_MS);
    ledger.load = SHORT;
    await clock.advance(10_000);
    ledger.load = QUIET;
    await clock.advance(10 * MINUTE_MS);
    expect(lines).toEqual([]);
  });

  it('says it again when it comes back after it was gone for a minute, not before', async () => {
    const { clock, lines, ledger, watch } = watched();
    watch.start();
    ledger.load = SHORT;
    await clock.advance(2 * MINUTE_MS);
    ledger.load = QUIET;
    await clock.advance(MINUTE_MS);
    ledger.load = SHORT;
    await clock.advance(2 * MINUTE_MS);
    expect(lines).toHaveLength(1);
    ledger.load = QUIET;
    await clock.advance(3 * MINUTE_MS);
    ledger.load = SHORT;
    await clock.advance(2 * MINUTE_MS);
    expect(lines).toHaveLength(2);
  });

  it('leaves out what was reported at boot', async () => {
    const { clock, lines, ledger, watch } = watched({ cores: 2 });
    watch.start();
    ledger.load = { ...QUIET, workers: 50 };
    await clock.advance(5 * MINUTE_MS);
    expect(lines).toEqual([]);
  });

  it('calls what costs nothing yet advice, not a warning', async () => {
    const { clock, lines, watch } = watched({ eventLoopUtilization: 0.95 });
    watch.start();
    await clock.advance(2 * MINUTE_MS);
    expect(lines).toEqual([
      'advice: the event loop is busy 95 % of the time: run 2 instances instead of 1, or take ' +
        'work off the event loop (event loop busy 95 %)',
    ]);
  });

  it('may be started and stopped twice, and leaves no timer', async () => {
    const { clock, ledger, watch } = watched();
    watch.stop();
    watch.start();
    watch.start();
    await clock.advance(10_000);
    expect(ledger.looks).toBe(1);
    watch.stop();
    watch.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
