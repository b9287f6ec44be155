import type { LedgerDefinition } from '../define-ledger.js';
import type { StoredEntry } from '../entry/usage-entry.interface.js';
import type {
  RecentPage,
  RecentQuery,
  SummaryQuery,
  UsageSummary,
} from '../reading/read-query.interface.js';
import type { UsageReading } from '../reading/usage-reading.interface.js';

type Entry = StoredEntry<LedgerDefinition>;

const DEFAULT_LIMIT = 50;

/** Reads entries that are in memory as the real reader reads the table. @internal */
export class InMemoryReader implements UsageReading<LedgerDefinition> {
  readonly #entries: () => readonly Entry[];
  readonly #asOf: () => Date;

  constructor(entries: () => readonly Entry[], asOf: () => Date) {
    this.#entries = entries;
    this.#asOf = asOf;
  }

  async summary(query: SummaryQuery<LedgerDefinition> = {}): Promise<UsageSummary> {
    const entries = this.#entries().filter((entry) => isWithin(entry, query));
    const consumedTokens = tokensOf(entries, 'consume');
    const suppliedTokens = tokensOf(entries, 'supply');
    const netTokens = suppliedTokens - consumedTokens;
    const asOf = this.#asOf().toISOString();
    return { consumedTokens, suppliedTokens, netTokens, entries: entries.length, asOf };
  }

  async listRecent(query: RecentQuery<LedgerDefinition>): Promise<RecentPage<LedgerDefinition>> {
    const { userId, limit = DEFAULT_LIMIT, cursor } = query;
    const all = this.#entries()
      .filter((entry) => entry.userId === String(userId))
      .sort((a, b) => (keyOf(a) < keyOf(b) ? 1 : -1))
      .filter((entry) => cursor === undefined || keyOf(entry) < cursor);
    const page = all.slice(0, limit).map((entry) => ({ ...entry, writtenAt: entry.createdAt }));
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
