import type { LedgerTable } from '../entry/ledger-definition.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import type { UsageSummary } from '../ports/read-query.interface.js';
import type { SummaryFilter } from '../ports/summary-filter.interface.js';
import type { SummarySource, SummarySums } from '../ports/summary-source.interface.js';
import { readRows } from '../postgres/read-rows.js';
import type { SessionLender } from '../postgres/session-lender.interface.js';
import { parseSummaryQuery } from './parse-summary-query.js';
import type { UnindexedReads } from './unindexed-reads.js';
import { plainSummary } from './plain-summary-sql.js';

/** Dependencies of a summary reader. @internal */
export interface SummaryReaderParts {
  readonly definition: LedgerTable;
  readonly connections: SessionLender;
  readonly asOf: () => Date;
  readonly timeoutMs?: number;
  /** Used first; undefined: the rows are added up. */
  readonly source?: SummarySource | undefined;
}

/** Default time limit of one read in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Reads sums from a source that has them, else from the rows.
 *
 * @internal
 */
export class SummaryReader {
  constructor(
    private readonly parts: SummaryReaderParts,
    private readonly unindexed: UnindexedReads,
  ) {}

  /** See `UsageReader.summary`. */
  async read(query: unknown): Promise<UsageSummary> {
    const { definition, source, timeoutMs = DEFAULT_TIMEOUT_MS } = this.parts;
    const filter = parseSummaryQuery(definition, query);
    const asOf = this.parts.asOf().toISOString();
    const sums = (await source?.read(filter, timeoutMs)) ?? (await this.#addUp(filter, timeoutMs));
    const [consumed, supplied] = [BigInt(sums.consumed), BigInt(sums.supplied)];
    return {
      consumedTokens: exactNumber('consumedTokens', consumed),
      suppliedTokens: exactNumber('suppliedTokens', supplied),
      netTokens: exactNumber('netTokens', supplied - consumed),
      entries: exactNumber('entries', BigInt(sums.entries)),
      asOf,
    };
  }

  async #addUp(filter: SummaryFilter, timeoutMs: number): Promise<SummarySums> {
    const { connections, definition } = this.parts;
    await this.unindexed.look('summary', filter.filters);
    const make = (schema: string | undefined) => plainSummary(definition, schema, filter);
    const [row] = await readRows(connections, make, timeoutMs);
    const [consumed, supplied, entries] = row ?? [];
    return { consumed: consumed ?? '0', supplied: supplied ?? '0', entries: entries ?? '0' };
  }
}

/** @throws LedgerReadError `overflow` instead of an inexact figure */
export function exactNumber(field: string, sum: bigint | undefined): number {
  const figure = Number(sum ?? 0n);
  if (!Number.isSafeInteger(figure)) {
    throw new LedgerReadError(
      'overflow',
      field,
      'is above 2^53 - 1, so it has no exact value as a number',
    );
  }
  return figure;
}
