import { REFUSES_EVERY_BATCH } from '../errors/sink.errors.js';
import type { OverflowPolicy } from '../ports/ledger-settings.interface.js';
import type { LedgerStats } from '../ports/ledger-stats.interface.js';
import type { DatabaseAnswer } from './database-probe.js';
import type { SaturationStatus } from './saturation-level.js';

/** The facts that the rules use, all of one moment. @internal */
export interface HealthFacts extends DatabaseAnswer {
  readonly stats: LedgerStats;
  readonly writesTo: 'database' | 'stream';
  readonly saturation: SaturationStatus;
  readonly overflow: OverflowPolicy;
  readonly sourceTrouble: string | undefined;
  readonly sourceNotice: string | undefined;
  readonly isRetrying: boolean;
  readonly isStuck: boolean;
  readonly isSpillUnavailable: boolean;
  readonly wasTableChecked: boolean;
}

/** Additional conditions that make an instance unready. @publicApi */
export interface ReadinessPolicy {
  /** The database does not answer. */
  databaseAway?: 'down';
  /** Saturation is down. */
  saturated?: 'down';
  /** The server refuses every batch. */
  halted?: 'down';
}

/** The answer of one endpoint. @internal */
export interface Verdict {
  readonly status: SaturationStatus;
  /** Reasons in words, worst first; undefined if up. */
  readonly reason?: string;
}

type Trouble =
  | 'stopping'
  | 'databaseAway'
  | 'streamAway'
  | 'unread'
  | 'halted'
  | 'stuck'
  | 'saturated'
  | 'full'
  | 'filling'
  | 'retrying'
  | 'spillUnavailable'
  | 'notJournaled'
  | 'unchecked';
type Rules = Readonly<Partial<Record<Trouble, 'down' | 'degraded'>>>;

/** Is metering complete? For people and alarms. @internal */
export function assessHealth(facts: HealthFacts): Verdict {
  return judge(facts, {
    stopping: 'down',
    databaseAway: 'down',
    streamAway: 'down',
    halted: 'down',
    stuck: 'down',
    saturated: 'down',
    filling: 'degraded',
    retrying: 'degraded',
    unread: 'degraded',
    spillUnavailable: 'degraded',
    notJournaled: 'degraded',
  });
}

/**
 * May this instance receive requests? A metering outage alone does not make it unready. @internal
 */
export function assessReadiness(facts: HealthFacts, policy: ReadinessPolicy = {}): Verdict {
  return judge(facts, {
    stopping: 'down',
    full: facts.overflow === 'block' ? 'down' : undefined,
    databaseAway: policy.databaseAway ?? 'degraded',
    streamAway: 'degraded',
    unread: 'degraded',
    halted: policy.halted ?? 'degraded',
    saturated: policy.saturated ?? 'degraded',
    stuck: 'degraded',
    filling: 'degraded',
    retrying: 'degraded',
    spillUnavailable: 'degraded',
    notJournaled: 'degraded',
  });
}

/** Would a restart help? Only if workers hang although the database answers. @internal */
export function assessLiveness(facts: HealthFacts): Verdict {
  return judge(facts, { stuck: facts.database === 'up' ? 'down' : undefined });
}

/** Has the table been reached and checked at least once? @internal */
export function assessStartup(facts: HealthFacts): Verdict {
  return judge(facts, { unchecked: 'down' });
}

function judge(facts: HealthFacts, rules: Rules): Verdict {
  const troubles = troublesOf(facts);
  const reasonsFor = (status: 'down' | 'degraded'): string[] =>
    troubles.filter(([trouble]) => rules[trouble] === status).map(([, reason]) => reason);
  const down = reasonsFor('down');
  const reasons = [...down, ...reasonsFor('degraded')];
  if (reasons.length === 0) return { status: 'up' };
  return { status: down.length > 0 ? 'down' : 'degraded', reason: reasons.join('; ') };
}

function troublesOf(facts: HealthFacts): readonly (readonly [Trouble, string])[] {
  const { stats, saturation, database, code } = facts;
  const { state } = stats;
  const told = withoutCredentials(stats.reason ?? '');
  const why = told === '' ? '' : `: ${told}`;
  // The reason of a batch that the server refused begins with the same words.
  const halted = told.startsWith(REFUSES_EVERY_BATCH) ? told : REFUSES_EVERY_BATCH + why;
  const percent = `the channel is ${Math.floor(stats.saturation * 100)} % full`;
  const all: readonly (readonly [Trouble, boolean, string])[] = [
    ['stopping', state === 'draining' || state === 'sealed', `the process is stopping (${state})`],
    [
      'databaseAway',
      database === 'away',
      `the ${facts.writesTo} does not answer${code === undefined ? '' : ` (${code})`}`,
    ],
    [
      'streamAway',
      facts.sourceTrouble !== undefined,
      `nothing comes from the stream: ${withoutCredentials(facts.sourceTrouble ?? '')}`,
    ],
    ['halted', state === 'halted', halted],
    ['stuck', facts.isStuck, 'the workers make no progress'],
    // A waiting caller shows that nothing fits, even if the bytes leave a little room.
    ['full', stats.saturation >= 1 || stats.waiting > 0, 'the channel is full'],
    ['saturated', saturation === 'down', percent],
    ['filling', saturation === 'degraded', percent],
    ['retrying', facts.isRetrying, `the last attempt failed and is being retried${why}`],
    ['unread', facts.sourceNotice !== undefined, facts.sourceNotice ?? ''],
    ['spillUnavailable', facts.isSpillUnavailable, 'the spill directory cannot be written'],
    ['notJournaled', stats.journal?.state === 'degraded', describeJournalFault(stats.journal)],
    [
      'unchecked',
      !facts.wasTableChecked,
      `the ${facts.writesTo === 'stream' ? 'stream' : 'table'} has not been reached and checked yet${why}`,
    ],
  ];
  return all.flatMap(([trouble, isOn, reason]) => (isOn ? [[trouble, reason] as const] : []));
}

/** A call that did not wait is one whose entry a killed process would lose. */
function describeJournalFault(journal: LedgerStats['journal']): string {
  if (journal === null) return '';
  const { reason, notDurable } = journal;
  const fault = `the journal can't be written (${reason ?? 'unknown'}): entries are in memory only`;
  return notDurable === 0 ? fault : `${fault}, ${notDurable} calls continued without it`;
}

/** Reasons contain no secrets by rule; this removes an address with a password all the same. */
function withoutCredentials(reason: string): string {
  return reason.replace(/\/\/\S*@/g, '//***@');
}
