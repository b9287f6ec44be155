import type { LedgerTable } from '../entry/ledger-definition.js';
import type { IdInput } from '../entry/usage-entry.interface.js';
import type { EntryFilter, ReadOptions } from './read-query.interface.js';

/** Built-in dimensions of a report. */
export type ReportDimension =
  'hour' | 'day' | 'month' | 'userId' | 'apiKeyId' | 'serviceId' | 'direction';

/** Dimensions of a ledger's report. */
export type ReportGroup<T extends LedgerTable> = ReportDimension | (keyof T['columns'] & string);

/**
 * The query of `report()`: entries, sums and dimensions.
 *
 * @publicApi
 */
export interface ReportQuery<
  T extends LedgerTable = LedgerTable<'bigint', {}>,
  GroupBy extends readonly ReportGroup<T>[] = readonly ReportGroup<T>[],
  Sum extends readonly (keyof T['columns'] & string)[] = readonly (keyof T['columns'] & string)[],
> extends ReadOptions {
  /** First moment of the period by `createdAt`, or a day `YYYY-MM-DD` in `timeZone`. */
  readonly from: Date | string;
  /** First moment after the period, like `from`. */
  readonly to: Date | string;
  /**
   * IANA name of the time zone of hours, days and months, such as `Europe/Berlin`; default `UTC`.
   */
  readonly timeZone?: string;
  readonly userId?: IdInput<T['ids']>;
  /**
   * Further conditions, by any column; the invoice of one tenant reads only that tenant's entries.
   */
  readonly where?: EntryFilter<T> | undefined;
  /** One row for each combination, in this order; empty: one row for all. */
  readonly groupBy?: GroupBy;
  /**
   * Declared columns to sum besides the tokens, of type bigint, integer or numeric. None may be in
   * `groupBy`. Neither list may contain the name of one of the row's figures, such as `entries`.
   */
  readonly sum?: Sum;
  /**
   * Only entries whose write had begun before this moment. Writes in flight may still fall before
   * it, so the result is final only for a moment further back than `writeTimeoutMs`.
   */
  readonly writtenBefore?: Date;
}

/**
 * The four figures of every row of a report. A type alias, because rows must be records as well.
 */
export type ReportFigures = {
  readonly consumedTokens: number;
  readonly suppliedTokens: number;
  /** `suppliedTokens - consumedTokens`. */
  readonly netTokens: number;
  readonly entries: number;
};

/**
 * One row of a report: the fields of `groupBy` and of `sum` as strings, and the four figures. An
 * hour is ISO 8601 with its offset, a day `2026-03-29`, a month `2026-03`, a `timestamptz` ISO 8601
 * in UTC. NULL is null.
 */
export type ReportRow = Readonly<Record<string, string | number | null>> & ReportFigures;

/**
 * One row of a report with these lists: the named fields and the figures. For lists that are known
 * only at run time, a `ReportRow`.
 *
 * @publicApi
 */
export type ReportRowOf<
  GroupBy extends readonly string[],
  Sum extends readonly string[],
> = number extends GroupBy['length'] | Sum['length']
  ? ReportRow
  : { readonly [K in GroupBy[number] | Sum[number]]: string | null } & ReportFigures;
