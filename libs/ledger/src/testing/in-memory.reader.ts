import type { LedgerDefinition } from '../define-ledger.js';
import type { StoredEntry } from '../entry/usage-entry.interface.js';
import type {
  RecentEntry,
  RecentPage,
  RecentQuery,
  SummaryQuery,
  UsageSummary,
} from '../reading/read-query.interface.js';
import { parseReportQuery } from '../reading/parse-report-query.js';
import type { ReportRow } from '../reading/report-query.interface.js';
import type { UsageReading } from '../reading/usage-reading.interface.js';
import { reportRows, startOf } from './in-memory-report.js';

/** An entry with the moment when it was written, as the table has it. @internal */
export type WrittenEntry = StoredEntry<LedgerDefinition> & { readonly writtenAt: string };

type Entry = WrittenEntry;

const DEFAULT_LIMIT = 50;

/** Reads entries that are in memory as the real reader reads the table. @internal */
export class InMemoryReader implements UsageReading<LedgerDefinition> {
  readonly #entries: () => readonly Entry[];
  readonly #asOf: () => Date;

  readonly #declared: readonly string[];
  readonly #definition: LedgerDefinition;

  constructor(definition: LedgerDefinition, entries: () => readonly Entry[], asOf: () => Date) {
    this.#definition = definition;
    this.#declared = Object.keys(definition.columns);
    this.#entries = entries;
    this.#asOf = asOf;
  }

  async summary(query: SummaryQuery<LedgerDefinition>): Promise<UsageSummary> {
    const own = this.#declared.filter((field) => query[field] !== undefined);
    const entries = this.#entries().filter(
      (entry) =>
        isWithin(entry, query) &&
        own.every(
          (field) => String((entry as Record<string, unknown>)[field]) === String(query[field]),
        ),
    );
    const consumedTokens = tokensOf(entries, 'consume');
    const suppliedTokens = tokensOf(entries, 'supply');
    const netTokens = suppliedTokens - consumedTokens;
    const asOf = this.#asOf().toISOString();
    return { consumedTokens, suppliedTokens, netTokens, entries: entries.length, asOf };
  }

  /** As the real one, by the rules of this machine's time zones. */
  async *report(query: object): AsyncGenerator<ReportRow, void, undefined> {
    const report = parseReportQuery(this.#definition, query);
    const within = { from: startOf(report.from, report), to: startOf(report.to, report) };
    const chosen = this.#entries().filter(
      (entry) =>
        isWithin(entry, { ...within, userId: report.userId }) &&
        (report.writtenBefore === undefined || new Date(entry.writtenAt) < report.writtenBefore),
    );
    yield* reportRows(report, chosen);
  }

  async find(uuid: string): Promise<RecentEntry<LedgerDefinition> | undefined> {
    return this.#entries().find((each) => each.uuid === uuid.toLowerCase());
  }

  async listRecent(query: RecentQuery<LedgerDefinition>): Promise<RecentPage<LedgerDefinition>> {
    const { userId, limit = DEFAULT_LIMIT, cursor } = query;
    const all = this.#entries()
      .filter((entry) => entry.userId === String(userId))
      .sort((a, b) => (keyOf(a) < keyOf(b) ? 1 : -1))
      .filter((entry) => cursor === undefined || keyOf(entry) < cursor);
    const page = all.slice(0, limit);
    const nextCursor = all.length > limit ? keyOf(page.at(-1)!) : null;
    return { entries: page, nextCursor, asOf: this.#asOf().toISOString() };
  }
}

function isWithin(entry: Entry, query: SummaryQuery<LedgerDefinition>): boolean {
  const { userId, apiKeyId, serviceId, from, to } = query;
  const createdAt = new Date(entry.createdAt);
  return (
    (userId === undefined || entry.userId === String(userId)) &&
    (apiKeyId === undefined || entry.apiKeyId === String(apiKeyId)) &&
    (serviceId === undefined || entry.serviceId === String(serviceId)) &&
    (from === undefined || createdAt >= from) &&
    (to === undefined || createdAt < to)
  );
}

function tokensOf(entries: readonly Entry[], direction: string): number {
  return entries
    .filter((entry) => entry.direction === direction)
    .reduce((sum, entry) => sum + entry.promptTokens + entry.completionTokens, 0);
}

/** Newest last: both parts sort as texts. */
function keyOf({ createdAt, uuid }: Entry): string {
  return `${createdAt} ${uuid}`;
}
