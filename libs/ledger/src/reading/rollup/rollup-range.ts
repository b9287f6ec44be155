import { QUARTER_MS } from '../../migrations/rollup-tables.js';

/** Where buckets of each level begin and end within a period; texts that PostgreSQL reads. */
export interface RollupRange {
  readonly from: string;
  readonly to: string;
  readonly quarters: readonly [from: string, to: string];
  readonly days: readonly [from: string, to: string];
  readonly months: readonly [from: string, to: string];
}

const DAY_MS = 86_400_000;
/** The first moment that JavaScript spells in another way than PostgreSQL. */
const END_OF_YEARS_MS = 253_402_300_800_000;

/**
 * Rounds a period inwards to whole buckets of each level, in UTC. A level without a whole bucket has
 * an end at or before its beginning.
 *
 * @param from first moment; undefined: since ever
 * @param to first moment after it; undefined: without end
 */
export function rollupRange(from: Date | undefined, to: Date | undefined): RollupRange {
  const first = from?.getTime() ?? Number.NEGATIVE_INFINITY;
  const end = to?.getTime() ?? Number.POSITIVE_INFINITY;
  const inwards = (floor: (ms: number) => number, ceil: (ms: number) => number) =>
    [textOf(ceil(first)), textOf(floor(end))] as const;
  const multiples = (unit: number) =>
    inwards(
      (ms) => Math.floor(ms / unit) * unit,
      (ms) => Math.ceil(ms / unit) * unit,
    );
  return {
    from: textOf(first),
    to: textOf(end),
    quarters: multiples(QUARTER_MS),
    days: multiples(DAY_MS),
    months: inwards((ms) => monthOf(ms, 0), ceilMonth),
  };
}

function ceilMonth(ms: number): number {
  const start = monthOf(ms, 0);
  return start === ms ? ms : monthOf(ms, 1);
}

/** Start of the month, so many months on. */
function monthOf(ms: number, offset: number): number {
  if (!Number.isFinite(ms)) return ms;
  const date = new Date(ms);
  const start = new Date(0);
  // Date.UTC would take the years 0 to 99 for those of the last century.
  start.setUTCFullYear(date.getUTCFullYear(), date.getUTCMonth() + offset, 1);
  return start.getTime();
}

function textOf(ms: number): string {
  if (ms >= END_OF_YEARS_MS) return 'infinity';
  return Number.isFinite(ms) ? new Date(ms).toISOString() : '-infinity';
}
