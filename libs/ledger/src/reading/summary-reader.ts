import { readRows } from '../postgres/read-rows.js';
import type { TextRow } from '../postgres/pg-statement.js';
import { plainSummary } from './plain-summary-sql.js';
import type { SummaryFilter } from '../ports/summary-filter.interface.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import { migrateCommand } from '../entry/ledger-command.js';
import type { PgConnections } from '../postgres/pg-connections.js';
import { parseSummaryQuery } from './parse-summary-query.js';
import type { UsageSummary } from '../ports/read-query.interface.js';
import { canUseRollups, rollupSummary } from '../rollup/summary-sql.js';

/** What a summary is read with. @internal */
export interface SummaryReaderParts {
  readonly definition: LedgerTable;
  readonly connections: PgConnections;
  readonly asOf: () => Date;
  readonly timeoutMs?: number;
  readonly onNotice?: (text: string) => void;
}

/** Milliseconds that one read may take, unless told otherwise. */
export const DEFAULT_TIMEOUT_MS = 10_000;

/** After rollups could not be read, the rows alone answer for so many milliseconds. */
const PLAIN_MS = 60_000;
/** SQLSTATEs: no such table, column, function or schema; no permission. */
const NO_ROLLUPS = ['42P01', '42703', '42883', '3F000', '42501'];

/**
 * Reads sums, from rollups and rows in one snapshot where there are rollups, else from the rows.
 *
 * @internal
 */
export class SummaryReader {
  #plainUntil = Number.NEGATIVE_INFINITY;
  #hasWarned = false;

  constructor(private readonly parts: SummaryReaderParts) {}

  /** As `UsageReader.summary`. */
  async read(query: unknown): Promise<UsageSummary> {
    const filter = parseSummaryQuery(this.parts.definition, query);
    const asOf = this.parts.asOf().toISOString();
    const rows = await this.#rows(filter);
    const [consumed, supplied, entries] = (rows[0] ?? []).map((sum) => BigInt(sum ?? 0));
    return {
      consumedTokens: exactNumber('consumedTokens', consumed),
      suppliedTokens: exactNumber('suppliedTokens', supplied),
      netTokens: exactNumber('netTokens', (supplied ?? 0n) - (consumed ?? 0n)),
      entries: exactNumber('entries', entries),
      asOf,
    };
  }

  async #rows(filter: SummaryFilter): Promise<readonly TextRow[]> {
    const { definition } = this.parts;
    const usesRollups = canUseRollups(definition, filter) && performance.now() >= this.#plainUntil;
    if (!usesRollups) return this.#run(plainSummary, filter);
    try {
      return await this.#run(rollupSummary, filter);
    } catch (error) {
      const { sqlState } = error as LedgerReadError;
      if (sqlState === undefined || !NO_ROLLUPS.includes(sqlState)) throw error;
      // If the table itself is missing or forbidden, this says so.
      const rows = await this.#run(plainSummary, filter);
      this.#plainUntil = performance.now() + PLAIN_MS;
      this.#warn(sqlState);
      return rows;
    }
  }

  #run(make: typeof plainSummary, filter: SummaryFilter): Promise<readonly TextRow[]> {
    const { connections, definition, timeoutMs = DEFAULT_TIMEOUT_MS } = this.parts;
    return readRows(connections, (schema) => make(definition, schema, filter), timeoutMs);
  }

  #warn(sqlState: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const { definition } = this.parts;
    const { table } = definition;
    this.parts.onNotice?.(
      `summary() adds up all rows of ${table}, since its rollups can't be read (${sqlState}): ` +
        `run \`${migrateCommand(definition)}\`, and GRANT SELECT on ` +
        `${table}_rollups, ${table}_rollup_state, ${table}_rollup_marks`,
    );
  }
}

/** @throws LedgerReadError `overflow` rather than a figure that is off by a token */
export function exactNumber(field: string, sum: bigint | undefined): number {
  const figure = Number(sum ?? 0n);
  if (!Number.isSafeInteger(figure)) {
    throw new LedgerReadError('overflow', field, 'is above 2^53 - 1 and has no exact figure');
  }
  return figure;
}
