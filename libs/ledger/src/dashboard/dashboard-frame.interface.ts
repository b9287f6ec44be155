import type { DueReason } from '../ports/ledger-stats.interface.js';
import type { Finding } from '../advice/finding.interface.js';
import type { LedgerStats, SettingInForce } from '../ports/ledger-stats.interface.js';

/**
 * Fields of a point of the charts, in the order sent. One array a second has a quarter of the bytes
 * of an object.
 */
export const POINT_FIELDS = [
  /** Milliseconds since 1970. */
  'at',
  /** Entries a second that got a place in the channel. */
  'queuedPerSecond',
  /** Entries a second that were settled. */
  'settledPerSecond',
  'droppedPerSecond',
  'retriesPerSecond',
  /** 0 to 1. */
  'saturation',
  /** Milliseconds. */
  'oldestEntryAgeMs',
  /** Milliseconds; null if no batch was written recently. */
  'flushP50Ms',
  'flushP99Ms',
  /** Mean entries of a batch over `batchSize`, 0 to 1; null if no batch was written recently. */
  'fill',
  'busyWorkers',
  'totalWorkers',
  /** Batches a second by the reason why they were due. */
  'full',
  'old',
  'awaited',
  'draining',
  'recovered',
] as const;

/** Name of a point's figure. */
export type PointField = (typeof POINT_FIELDS)[number];

/** One time in the charts. Rates are null in the first point, which has no predecessor. */
export type DashboardPoint = Readonly<Record<PointField, number | null>> & { readonly at: number };

/** A point as sent: its figures in the order of `POINT_FIELDS`. */
export type PackedPoint = readonly (number | null)[];

/** Writes of the last seconds. */
export interface RecentFlushes {
  readonly batches: number;
  readonly entries: number;
  /** Mean entries of a batch over `batchSize`, 0 to 1; null if there was no batch. */
  readonly fill: number | null;
  /** Milliseconds; null if there was no batch. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Batches by the reason why they were due. */
  readonly due: Readonly<Record<DueReason, number>>;
}

/** All present figures on the page. */
export interface DashboardNow extends Omit<LedgerStats, 'settings'> {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly health: 'up' | 'degraded' | 'down';
  /** Why health is not up; null if it is. */
  readonly healthReason: string | null;
  readonly database: 'up' | 'away';
  /** Milliseconds at the present rate; null if the channel isn't filling. */
  readonly timeToFullMs: number | null;
  /** Milliseconds at the present rate; null if the channel isn't emptying. */
  readonly drainEtaMs: number | null;
  readonly recent: RecentFlushes;
  /** Worst first. */
  readonly advice: readonly Finding[];
}

/** The event `frame`, once a second. */
export interface DashboardFrame {
  readonly point: PackedPoint;
  readonly now: DashboardNow;
}

/** The event `hello`, the first of every connection. */
export interface DashboardHello {
  /** Name of the shown ledger, and of all available ones. */
  readonly ledger: string;
  readonly ledgers: readonly string[];
  /** Changes with the page, so that an open page reloads itself. */
  readonly build: string;
  /** Milliseconds between two frames, and of history. */
  readonly sampleMs: number;
  readonly historyMs: number;
  readonly settings: Readonly<Record<string, SettingInForce>>;
  /** Points that the page lacks, oldest first; may be empty. */
  readonly points: readonly PackedPoint[];
  readonly now: DashboardNow;
}

/** @returns the figures in the order of `POINT_FIELDS` */
export function packPoint(point: DashboardPoint): PackedPoint {
  return POINT_FIELDS.map((field) => point[field]);
}

/** The inverse of `packPoint`. */
export function unpackPoint(packed: PackedPoint): DashboardPoint {
  const entries = POINT_FIELDS.map((field, index) => [field, packed[index] ?? null]);
  return Object.fromEntries(entries) as DashboardPoint;
}
