import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { LedgerStats } from '../ports/ledger-stats.interface.js';
import type { Clock, Timer } from '../clock/clock.js';
import { adviseLedger } from './advise-ledger.js';
import { evidenceWords } from './evidence-words.js';
import type { AdviceEnvironment, Finding, FindingRule } from './finding.interface.js';
import { StatsWindow } from './stats-window.js';

/** Sampling every ten seconds costs nothing, and the guide's figures are in seconds. */
const SAMPLE_MS = 10_000;
/** Older samples are discarded, so that a burst is over before it counts as lasting. */
const WINDOW_MS = 30_000;
/**
 * Consecutive samples, one minute, after which a finding persists; as many without it end its
 * episode.
 */
const PERSISTENT_LOOKS = 6;

/** Already reported at boot, from the settings alone. */
const TOLD_AT_BOOT: ReadonlySet<FindingRule> = new Set(['workers-above-limit']);

/** The inputs and outputs of the watch. */
export interface AdviceWatchParts {
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  readonly stats: () => LedgerStats;
  readonly environment: () => AdviceEnvironment;
}

interface Episode {
  /** Consecutive samples with the finding; below 0: without it. */
  looks: number;
  isTold: boolean;
}

/**
 * Samples a ledger and logs persistent findings, once per episode. An episode ends when the finding
 * has been absent for as long as it took to be reported.
 *
 * @internal
 */
export class AdviceWatch {
  readonly #parts: AdviceWatchParts;
  readonly #window = new StatsWindow(WINDOW_MS);
  readonly #episodes = new Map<FindingRule, Episode>();
  #timer: Timer | undefined;

  constructor(parts: AdviceWatchParts) {
    this.#parts = parts;
  }

  /** Starts sampling; starting twice is allowed. */
  start(): void {
    this.#timer ??= this.#next();
  }

  /** Stops sampling until the next start; stopping twice is allowed. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #next(): Timer {
    return this.#parts.clock.after(SAMPLE_MS, () => {
      this.#timer = this.#next();
      this.#look();
    });
  }

  #look(): void {
    const { clock, stats, environment } = this.#parts;
    this.#window.add(clock.monotonic(), stats());
    const findings = adviseLedger(this.#window.samples, environment());
    const seen = new Set(findings.map(({ rule }) => rule));
    for (const [rule, episode] of this.#episodes) {
      if (!seen.has(rule)) this.#noteAbsence(rule, episode);
    }
    for (const finding of findings) this.#notePresence(finding);
  }

  #noteAbsence(rule: FindingRule, episode: Episode): void {
    episode.looks = Math.min(0, episode.looks) - 1;
    if (!episode.isTold || episode.looks <= -PERSISTENT_LOOKS) this.#episodes.delete(rule);
  }

  #notePresence(finding: Finding): void {
    const episode = this.#episodes.get(finding.rule) ?? { looks: 0, isTold: false };
    episode.looks = Math.max(0, episode.looks) + 1;
    this.#episodes.set(finding.rule, episode);
    if (episode.isTold || episode.looks < PERSISTENT_LOOKS) return;
    episode.isTold = true;
    if (!TOLD_AT_BOOT.has(finding.rule)) this.#tell(finding);
  }

  #tell({ summary, remedy, evidence, severity }: Finding): void {
    const { logger } = this.#parts;
    const line = `${summary}: ${remedy} (${evidenceWords(evidence)})`;
    if (severity === 'warning') logger.warn(`WARNING: ${line}`);
    else logger.log(`advice: ${line}`);
  }
}
