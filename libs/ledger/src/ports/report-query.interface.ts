import type { LedgerTable } from '../entry/ledger-definition.js';
import type { IdInput } from '../entry/usage-entry.interface.js';
import type { EntryFilter, ReadOptions } from './read-query.interface.js';

/** What a report can be broken down by, beside declared columns. */
export type ReportDimension =
  'hour' | 'day' | 'month' | 'userId' | 'apiKeyId' | 'serviceId' | 'direction';

/** What a ledger's report can be broken down by. */
export type ReportGroup<T extends LedgerTable> = ReportDimension | (keyof T['columns'] & string);

/**
 * What `report()` adds up, and how it breaks it down.
 *
 * @publicApi
 */
export interface ReportQuery<
  T extends LedgerTable = LedgerTable<'bigint', {}>,
  GroupBy extends readonly ReportGroup<T>[] = readonly ReportGroup<T>[],
  Sum extends readonly (keyof T['columns'] & string)[] = readonly (keyof T['columns'] & string)[],
> extends ReadOptions {
  /** First moment by `createdAt`, or a day `YYYY-MM-DD`, which begins in `timeZone`. */
  readonly from: Date | string;
  /** First moment after the period, as `from`. */
  readonly to: Date | string;
  /** IANA name of the zone in which hours, days and months are, as `Europe/Berlin`; default `UTC`. */
  readonly timeZone?: string;
  readonly userId?: IdInput<T['ids']>;
  /** Further conditions, by any column: a tenant's invoice reads that tenant's entries alone. */
  readonly where?: EntryFilter<T> | undefined;
  /** One row for each combination, in this order; empty: one row for all. */
  readonly groupBy?: GroupBy;
  /**
   * Declared columns to add up beside the tokens; of type bigint, integer or numeric, none that is in
   * `groupBy`. Here and there none that has the name of a figure of the row, as `entries`.
   */
  readonly sum?: Sum;
  /**
   * The books as they stood: only entries whose writing had begun before. What is under way may still
   * come to lie before it, so that only a moment further back than `writeTimeoutMs` is settled.
   */
  readonly writtenBefore?: Date;
}

/** The four figures of every row of a report. An alias: rows are to be records as well. */
export type ReportFigures = {
  readonly consumedTokens: number;
  readonly suppliedTokens: number;
  /** `suppliedTokens - consumedTokens`. */
  readonly netTokens: number;
  readonly entries: number;
};

/**
 * One row of a report: the fields of `groupBy` and of `sum`, as texts, and the four figures. An hour
 * is ISO 8601 with its offset, a day `2026-03-29`, a month `2026-03`, a `timestamptz` ISO 8601 in UTC.
 * NULL is null.
 */
export type ReportRow = Readonly<Record<string, string | number | null>> & ReportFigures;

/**
 * One row of the report that a query with these lists asks for: the fields that they name, and the
 * figures. Of lists that only run time knows, a `ReportRow`.
 *
 * @publicApi
 */
export type ReportRowOf<
  GroupBy extends readonly string[],
  Sum extends readonly string[],
> = number extends GroupBy['length'] | Sum['length']
  ? ReportRow
  : { readonly [K in GroupBy[number] | Sum[number]]: string | null } & ReportFigures;
