import { isDeepStrictEqual } from 'node:util';
import type { SummaryFilter } from '../ports/summary-filter.interface.js';
import type { LedgerDefinition } from '../define-ledger.js';
import type { StoredEntry } from '../entry/usage-entry.interface.js';
import type {
  RecentEntry,
  RecentPage,
  RecentQuery,
  SummaryQuery,
  UsageSummary,
} from '../ports/read-query.interface.js';
import { encodeCursor, type PagePosition } from '../reading/page-cursor.js';
import { parseId } from '../reading/parse-read-query.js';
import { parseRecentQuery } from '../reading/parse-recent-query.js';
import { parseReportQuery } from '../reading/parse-report-query.js';
import { parseSummaryQuery } from '../reading/parse-summary-query.js';
import type { ReportRow } from '../ports/report-query.interface.js';
import type { UsageReading } from '../ports/usage-reading.interface.js';
import { reportRows, startOf } from './in-memory-report.js';
import { withoutTrailingZeros } from './same-entry.js';

/** An entry with the time at which it was written, like a row of the table. @internal */
export type WrittenEntry = StoredEntry<LedgerDefinition> & { readonly writtenAt: string };

type Entry = WrittenEntry;

/**
 * Reads entries in memory like the real reader: it refuses the same queries with the same texts.
 *
 * @internal
 */
export class InMemoryReader implements UsageReading<LedgerDefinition> {
  readonly #entries: () => readonly Entry[];
  readonly #asOf: () => Date;
  readonly #definition: LedgerDefinition;

  constructor(definition: LedgerDefinition, entries: () => readonly Entry[], asOf: () => Date) {
    this.#definition = definition;
    this.#entries = entries;
    this.#asOf = asOf;
  }

  async summary(query: SummaryQuery<LedgerDefinition>): Promise<UsageSummary> {
    const filter = parseSummaryQuery(this.#definition, query);
    const entries = this.#entries().filter((entry) => meets(entry, filter));
    const consumedTokens = tokensOf(entries, 'consume');
    const suppliedTokens = tokensOf(entries, 'supply');
    const netTokens = suppliedTokens - consumedTokens;
    const asOf = this.#asOf().toISOString();
    return { consumedTokens, suppliedTokens, netTokens, entries: entries.length, asOf };
  }

  /** Like the real one, but by the rules of this machine's time zones. */
  async *report(query: object): AsyncGenerator<ReportRow, void, undefined> {
    const report = parseReportQuery(this.#definition, query);
    const { filters, writtenBefore } = report;
    const within = { from: startOf(report.from, report), to: startOf(report.to, report) };
    const chosen = this.#entries().filter(
      (entry) =>
        meets(entry, { ...within, filters }) &&
        (writtenBefore === undefined || new Date(entry.writtenAt) < writtenBefore),
    );
    yield* reportRows(report, chosen);
  }

  async find(uuid: string): Promise<RecentEntry<LedgerDefinition> | undefined> {
    const value = parseId('uuid', uuid, 'uuid');
    return this.#entries().find((each) => isEqual(each.uuid, value, 'uuid'));
  }

  async listRecent(query: RecentQuery<LedgerDefinition>): Promise<RecentPage<LedgerDefinition>> {
    const { filters, limit, after } = parseRecentQuery(this.#definition, query);
    const filter = { filters, from: undefined, to: undefined };
    const all = this.#entries()
      .filter((entry) => meets(entry, filter))
      .filter((entry) => after === undefined || isOlder(positionOf(entry), after))
      .sort((a, b) => (isOlder(positionOf(a), positionOf(b)) ? 1 : -1));
    const page = all.slice(0, limit);
    const nextCursor = all.length > limit ? encodeCursor(positionOf(page.at(-1)!)) : null;
    return { entries: page, nextCursor, asOf: this.#asOf().toISOString() };
  }
}

function meets(entry: Entry, { filters, from, to }: SummaryFilter): boolean {
  const createdAt = new Date(entry.createdAt);
  const values = entry as unknown as Readonly<Record<string, unknown>>;
  return (
    filters.every(({ field, type, value }) => isEqual(values[field], value, type)) &&
    (from === undefined || createdAt >= from) &&
    (to === undefined || createdAt < to)
  );
}

/** A value of any type except jsonb. */
type Scalar = string | number | boolean;

/** Compares like PostgreSQL; null matches NULL. @param asked in PostgreSQL's text format */
function isEqual(stored: unknown, asked: string | null, type: string): boolean {
  if (stored === null || stored === undefined || asked === null) {
    return asked === null && (stored === null || stored === undefined);
  }
  if (type === 'jsonb') return isDeepStrictEqual(stored, JSON.parse(asked));
  return (
    typeof stored !== 'object' &&
    spelledAlike(`${stored as Scalar}`, type) === spelledAlike(asked, type)
  );
}

/**
 * A uuid may have digits in either case, an integer leading zeros, and a decimal trailing zeros.
 */
function spelledAlike(text: string, type: string): string {
  if (type === 'uuid') return text.toLowerCase();
  if (type === 'numeric') return withoutTrailingZeros(text);
  return type === 'integer' || type === 'bigint' ? String(BigInt(text)) : text;
}

function tokensOf(entries: readonly Entry[], direction: string): number {
  return entries
    .filter((entry) => entry.direction === direction)
    .reduce((sum, entry) => sum + entry.promptTokens + entry.completionTokens, 0);
}

function positionOf({ createdAt, uuid }: Entry): PagePosition {
  return { micros: BigInt(Date.parse(createdAt)) * 1000n, uuid };
}

/** The order of pages, in which uuids are compared byte by byte. */
function isOlder(one: PagePosition, other: PagePosition): boolean {
  return one.micros === other.micros ? one.uuid < other.uuid : one.micros < other.micros;
}
