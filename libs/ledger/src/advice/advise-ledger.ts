import { MIN_WINDOW_MS } from './advice-thresholds.js';
import {
  bufferBelowBurst,
  callersWaiting,
  entriesDropped,
  rateBelowDemand,
} from './channel-rules.js';
import type { AdviceEnvironment, Finding } from './finding.interface.js';
import { journalDamaged, journalFilling, journalSlow } from './journal-rules.js';
import { situationOf, type Situation } from './situation.js';
import { summarizeWindow, type StatsSample } from './stats-window.js';
import {
  batchesAlwaysFull,
  connectionsExhausted,
  eventLoopBusy,
  flushesSlow,
  workersAboveLimit,
  workersAlwaysBusy,
} from './writing-rules.js';

/** Worst first: what loses entries, what will, what costs. */
const RULES: readonly ((situation: Situation) => Finding | undefined)[] = [
  entriesDropped,
  callersWaiting,
  journalDamaged,
  journalFilling,
  connectionsExhausted,
  rateBelowDemand,
  eventLoopBusy,
  journalSlow,
  workersAlwaysBusy,
  batchesAlwaysFull,
  flushesSlow,
  bufferBelowBurst,
  workersAboveLimit,
];

/**
 * Says what binds a ledger, by its numbers over a window, and which setting to change to which
 * value. Pure: the same window and surroundings give the same findings. `advice-thresholds.ts` has
 * the figures, their sources, and which of the guide's formulas is used where they contradict.
 *
 * @param samples of one run, oldest first; a minute at steady load says most, less than 5 s nothing
 * @param environment what is known of machine and server; what isn't is not judged
 * @returns worst first, at most one a rule and one a setting; empty if all is well
 * @publicApi
 */
export function adviseLedger(
  samples: readonly StatsSample[],
  environment: AdviceEnvironment = {},
): Finding[] {
  const window = summarizeWindow(samples);
  if (window === undefined || window.spanMs < MIN_WINDOW_MS) return [];
  // A stop empties the channel as fast as it can, which says nothing about the settings.
  if (window.last.state === 'draining' || window.last.state === 'sealed') return [];
  const situation = situationOf(window, environment);
  const findings: Finding[] = [];
  for (const rule of RULES) {
    const finding = rule(situation);
    if (finding !== undefined && !isSaid(finding, findings)) findings.push(finding);
  }
  return findings;
}

/** A setting changes once: two values for it would be no advice, and the first is of the worse. */
function isSaid({ change }: Finding, findings: readonly Finding[]): boolean {
  return change !== null && findings.some((each) => each.change?.setting === change.setting);
}
