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

/** The settings that health goes by. @internal */
export interface LedgerHealthSettings extends SaturationMarks {
  readonly overflow: OverflowPolicy;
}

/** What every answer carries besides its status; plain JSON without secrets. @publicApi */
export type LedgerHealthDetails = {
  /** 0 to 1. */
  saturation: number;
  /** Entries in the channel. */
  depth: number;
  /** Entries that the channel may hold. */
  capacity: number;
  /** Milliseconds; 0 if there is no unsettled entry. */
  oldestEntryAgeMs: number;
  workers: { total: number; busy: number };
  /** Entries dropped since the start of the run. */
  dropped: number;
  state: LedgerState;
  database: 'up' | 'away';
  /** Milliseconds until the channel is full at the present rate; null if it isn't filling. */
  timeToFullMs: number | null;
  /** Milliseconds until all is written at the present rate; null if the channel isn't emptying. */
  drainEtaMs: number | null;
  /** In words; only if the status is not `up`. */
  reason?: string;
  /** Terminus 11 has no status `degraded`: there it is `up`, with this and a reason. */
  degraded?: true;
};

/** One indicator's answer: `{ [key]: { status, …details } }`. @publicApi */
export type LedgerHealthResult<Key extends string> = HealthIndicatorResult<
  Key,
  HealthIndicatorStatus,
  LedgerHealthDetails
>;

/**
 * Tells Terminus how a ledger is. A metering outage takes no fleet out of service, and a full
 * channel restarts nothing: `down` answers 503, `degraded` 200. No method rejects; each answers
 * within half a second, since the database is asked with that limit, and at most once a second.
 * One saturation level is kept for all four, which any of them moves.
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

  /** Built by the module, one for each ledger. @internal */
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
   * Is metering whole? Down: saturation, database or stream away, halted, stopping, workers stuck. Degraded:
   * saturation, retrying, spill directory unavailable. For people and alarms, not for routing.
   */
  isHealthy<const Key extends string>(key: Key): Promise<LedgerHealthResult<Key>> {
    return this.#answer(key, assessHealth);
  }

  /**
   * May this instance have requests? Down: stopping, or the channel is full while `overflow` is
   * `block`, and what the policy adds. All other troubles are degraded.
   */
  isReady<const Key extends string>(
    key: Key,
    policy?: ReadinessPolicy,
  ): Promise<LedgerHealthResult<Key>> {
    return this.#answer(key, (facts) => assessReadiness(facts, policy));
  }

  /**
   * Would a restart help? Down only if workers make no progress though the database answers. Waits for
   * the database only then, so that a slow one fails no probe: else `database` is its last answer.
   */
  isLive<const Key extends string>(key: Key): Promise<LedgerHealthResult<Key>> {
    return this.#answer(key, assessLiveness, !this.#vitals.isStuck());
  }

  /** Down until the table was once reached and checked. */
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

  /** Looks at everything whatever is asked, so that the level is the same for all endpoints. */
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

/** Terminus 11; there a result of another status than `up` and `down` would vanish. */
function isWithoutDegraded(session: object): boolean {
  return !('degraded' in session);
}
