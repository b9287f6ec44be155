import type { PartitionPeriod } from '../entry/ledger-definition.js';
import { periodAt, type Period } from './period.js';

/**
 * Periods created ahead of the present one, and after the end of a converted table: enough for a
 * weekend, or a month, in which none can be created. The ledger accepts entries up to one day
 * ahead.
 *
 * @internal
 */
export const PERIODS_AHEAD = { day: 7, month: 2 } as const;

/** Includes the period before the present one, for late entries. @internal */
export function wantedPeriods(
  unit: PartitionPeriod,
  now: number,
  ahead: number = PERIODS_AHEAD[unit],
): Period[] {
  return Array.from({ length: ahead + 2 }, (_, index) => periodAt(unit, now, index - 1));
}

/** Start of retention: partitions that ended at or before this time are retired. @internal */
export function retentionCutoff(unit: PartitionPeriod, now: number, keep: number): number {
  return periodAt(unit, now, -keep).from;
}
