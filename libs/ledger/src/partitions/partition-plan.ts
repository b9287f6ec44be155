import type { PartitionPeriod } from '../entry/ledger-definition.js';
import { periodAt, type Period } from './period.js';

/**
 * Periods that are made ahead of the present one, and behind the end of a table that is converted: a
 * weekend, or a month, in which nobody may make any is no trouble. The ledger takes entries up to one
 * day ahead.
 *
 * @internal
 */
export const PERIODS_AHEAD = { day: 7, month: 2 } as const;

/** The period before the present one too, for entries that come late. @internal */
export function wantedPeriods(
  unit: PartitionPeriod,
  now: number,
  ahead: number = PERIODS_AHEAD[unit],
): Period[] {
  return Array.from({ length: ahead + 2 }, (_, index) => periodAt(unit, now, index - 1));
}

/** Where retention begins: partitions that ended at this moment or before are retired. @internal */
export function retentionCutoff(unit: PartitionPeriod, now: number, keep: number): number {
  return periodAt(unit, now, -keep).from;
}
