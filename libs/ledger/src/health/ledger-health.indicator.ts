import type {
  HealthIndicatorResult,
  HealthIndicatorService,
  HealthIndicatorStatus,
} from '@nestjs/terminus';
import { OnePerNest } from '../nest/one-per-nest.js';
import type { LedgerState } from '../ports/ledger-stats.interface.js';
import { systemClock } from '../clock/clock.js';
import { assessHealth, assessLiveness, assessReadiness, assessStartup } from './assess-health.js';
import type { HealthFacts, ReadinessPolicy, Verdict } from './assess-health.js';
import { DatabaseProbe } from './database-probe.js';
import type { ProbeClock } from './database-probe.js';
import { forecastChannel } from './forecast-channel.js';
import type { OverflowPolicy } from '../ports/ledger-settings.interface.js';
import type { LedgerVitals } from '../ports/ledger-vitals.interface.js';
import { RateMeter } from './rate-meter.js';
import { SaturationLevel } from './saturation-level.js';
import type { SaturationMarks } from './saturation-level.js';

export type { ReadinessPolicy } from './assess-health.js';

/** The settings of health. @internal */
export interface LedgerHealthSettings extends SaturationMarks {
  readonly overflow: OverflowPolicy;
}

/** Details of every answer besides the status; plain JSON without secrets. @publicApi */
export type LedgerHealthDetails = {
  /** 0 to 1. */
  saturation: number;
  /** Entries in the channel. */
  depth: number;
  /** Capacity of the channel in entries. */
  capacity: number;
  /** Milliseconds; 0 if there is no unsettled entry. */
  oldestEntryAgeMs: number;
  workers: { total: number; busy: number };
  /** Entries dropped since the start of the run. */
  dropped: number;
  state: LedgerState;
  database: 'up' | 'away';
  /** Milliseconds until the channel is full at the current rate; null if it is not filling. */
  timeToFullMs: number | null;
  /**
   * Milliseconds until all entries are written at the current rate; null if the channel is not
   * emptying.
   */
  drainEtaMs: number | null;
  /** In words; only if the status is not `up`. */
  reason?: string;
  /** Terminus 11 has no status `degraded` and reports `up`, with this flag and a reason. */
  degraded?: true;
};

/** One indicator's answer: `{ [key]: { status, …details } }`. @publicApi */
export type LedgerHealthResult<Key extends string> = HealthIndicatorResult<
  Key,
  HealthIndicatorStatus,
  LedgerHealthDetails
>;

/**
 * Reports a ledger's health to Terminus. A metering outage does not take a fleet out of service,
 * and a full channel does not restart a process: `down` answers 503, `degraded` 200. No method
 * rejects. Each answers within half a second, the time limit of a ping, and the database is pinged
 * at most once a second. All four methods share one saturation level, and each updates it.
 *
 * @publicApi
 */
@OnePerNest('LedgerHealthIndicator')
export class LedgerHealthIndicator {
  readonly #service: HealthIndicatorService;
  readonly #vitals: LedgerVitals;
  readonly #settings: LedgerHealthSettings;
  readonly #clock: ProbeClock;
  readonly #level: SaturationLevel;
  readonly #rates = new RateMeter();
  readonly #probe: DatabaseProbe;

  /** Created by the module, one for each ledger. @internal */
  constructor(
    service: HealthIndicatorService,
    vitals: LedgerVitals,
    settings: LedgerHealthSettings,
    clock: ProbeClock = systemClock,
  ) {
    this.#service = service;
    this.#vitals = vitals;
    this.#settings = settings;
    this.#clock = clock;
    this.#level = new SaturationLevel(settings);
    this.#probe = new DatabaseProbe((timeoutMs) => vitals.ping(timeoutMs), clock);
  }

  /**
   * Is metering complete? Down: saturation, unreachable database or stream, halted, stopping,
   * workers stuck. Degraded: saturation, retrying, spill directory unavailable. For people and
   * alarms, not for routing.
   */
  isHealthy<const Key extends string>(key: Key): Promise<LedgerHealthResult<Key>> {
    return this.#answer(key, assessHealth);
  }

  /**
   * May this instance receive requests? Down: stopping, a full channel with `overflow: 'block'`,
   * and the policy's additions. All other faults are degraded.
   */
  isReady<const Key extends string>(
    key: Key,
    policy?: ReadinessPolicy,
  ): Promise<LedgerHealthResult<Key>> {
    return this.#answer(key, (facts) => assessReadiness(facts, policy));
  }

  /**
   * Would a restart help? Down only if workers make no progress although the database answers.
   * Waits for the database only in that case, so that a slow database fails no probe; otherwise
   * `database` is the last answer.
   */
  isLive<const Key extends string>(key: Key): Promise<LedgerHealthResult<Key>> {
    return this.#answer(key, assessLiveness, !this.#vitals.isStuck());
  }

  /** Down until the table has been reached and checked once. */
  isStarted<const Key extends string>(key: Key): Promise<LedgerHealthResult<Key>> {
    return this.#answer(key, assessStartup);
  }

  async #answer<const Key extends string>(
    key: Key,
    assess: (facts: HealthFacts) => Verdict,
    takesLastAnswer = false,
  ): Promise<LedgerHealthResult<Key>> {
    const facts = await this.#facts(takesLastAnswer);
    const { status, reason } = assess(facts);
    const { stats } = facts;
    const details: LedgerHealthDetails = {
      saturation: stats.saturation,
      depth: stats.depth,
      capacity: stats.capacity,
      oldestEntryAgeMs: stats.oldestEntryAgeMs,
      workers: { total: stats.workers.total, busy: stats.workers.busy },
      dropped: stats.dropped,
      state: stats.state,
      database: facts.database,
      ...forecastChannel(stats, this.#rates.observe(this.#clock.monotonic(), stats)),
      ...(reason !== undefined && { reason }),
    };
    const session = this.#service.check(key);
    switch (status) {
      case 'up':
        return session.up(details);
      case 'degraded':
        if (isWithoutDegraded(session)) return session.up({ ...details, degraded: true });
        return session.degraded(details);
      case 'down':
        return session.down(details);
    }
  }

  /** Evaluates all facts for every endpoint, so that all share one level. */
  async #facts(takesLastAnswer: boolean): Promise<HealthFacts> {
    const answer = await (takesLastAnswer ? this.#probe.lastAnswer() : this.#probe.ask());
    const vitals = this.#vitals;
    const stats = vitals.stats();
    return {
      ...answer,
      writesTo: vitals.writesTo,
      stats,
      saturation: this.#level.observe(stats.saturation),
      overflow: this.#settings.overflow,
      sourceTrouble: vitals.sourceTrouble(),
      sourceNotice: vitals.sourceNotice(),
      isRetrying: vitals.isRetrying(),
      isStuck: vitals.isStuck(),
      isSpillUnavailable: vitals.isSpillUnavailable(),
      wasTableChecked: vitals.wasTableChecked(),
    };
  }
}

/** Terminus 11, which drops results with a status other than `up` and `down`. */
function isWithoutDegraded(session: object): boolean {
  return !('degraded' in session);
}
