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

/** Worst first: current losses, future losses, costs. */
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
 * Finds the bottleneck of a ledger from its figures over a window, and the setting and value to
 * change. Pure: equal inputs give equal findings. `advice-thresholds.ts` contains the thresholds,
 * their sources, and the choice among contradicting formulas of the guide.
 *
 * @param samples of one run, oldest first; best a minute at steady load, at least 5 s
 * @param environment known facts about machine and server; unknown ones are not judged
 * @returns worst first, at most one per rule and one per setting; empty if nothing should change
 * @publicApi
 */
export function adviseLedger(
  samples: readonly StatsSample[],
  environment: AdviceEnvironment = {},
): Finding[] {
  const window = summarizeWindow(samples);
  if (window === undefined || window.spanMs < MIN_WINDOW_MS) return [];
  // A shutdown empties the channel as fast as it can, which says nothing about the settings.
  if (window.last.state === 'draining' || window.last.state === 'sealed') return [];
  const situation = situationOf(window, environment);
  const findings: Finding[] = [];
  for (const rule of RULES) {
    const finding = rule(situation);
    if (finding !== undefined && !isSaid(finding, findings)) findings.push(finding);
  }
  return findings;
}

/** Each setting changes once; the first finding is the more severe one. */
function isSaid({ change }: Finding, findings: readonly Finding[]): boolean {
  return change !== null && findings.some((each) => each.change?.setting === change.setting);
}
