import type { PartitionPeriod } from '../entry/ledger-definition.js';

/** One day or month in UTC, half-open: `[from, to)`, in milliseconds since 1970. @internal */
export interface Period {
  readonly from: number;
  readonly to: number;
  /** Digits of its name: `20260131` or `202601`. */
  readonly label: string;
}

/** End of the milliseconds in a uuid's first 48 bits. Source: RFC 9562, section 5.7. */
const END_OF_UUID_TIME = 2 ** 48;

/** The period that contains a time. @param shift periods later, or earlier if negative */
export function periodAt(unit: PartitionPeriod, ms: number, shift = 0): Period {
  const at = new Date(ms);
  const [year, month, day] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()];
  const begin = (more: number): number =>
    unit === 'month' ? Date.UTC(year, month + more, 1) : Date.UTC(year, month, day + more);
  const from = begin(shift);
  const digits = new Date(from).toISOString().replaceAll('-', '');
  return { from, to: begin(shift + 1), label: digits.slice(0, unit === 'month' ? 6 : 8) };
}

/** All periods that overlap `[from, to)`, in order. */
export function periodsBetween(unit: PartitionPeriod, from: number, to: number): Period[] {
  const periods: Period[] = [];
  for (let next = periodAt(unit, from); next.from < to; next = periodAt(unit, next.to)) {
    periods.push(next);
  }
  return periods;
}

/**
 * The lowest uuid with this time in its first 48 bits: every UUIDv7 and UUIDv8 of an earlier
 * millisecond sorts before it, and none of this millisecond or a later one does.
 */
export function uuidBound(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** The time of a bound made by `uuidBound`; undefined for any other uuid. */
export function timeOfBound(uuid: string): number | undefined {
  const ms = Number.parseInt(uuid.slice(0, 13).replace('-', ''), 16);
  return ms < END_OF_UUID_TIME && uuidBound(ms) === uuid ? ms : undefined;
}
