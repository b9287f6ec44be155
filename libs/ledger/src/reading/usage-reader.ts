import { readRows, SqlParameters } from '../postgres/read-rows.js';
import { filterSql } from './filter-sql.js';
import type { TextRow } from '../postgres/pg-statement.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { tableNames } from '../postgres/table-names.js';
import type { SessionLender } from '../postgres/session-lender.interface.js';
import { encodeCursor, momentText } from './page-cursor.js';
import { parseId } from './parse-read-query.js';
import { parseRecentQuery } from './parse-recent-query.js';
import type {
  RecentEntry,
  RecentPage,
  RecentQuery,
  SummaryQuery,
  UsageSummary,
} from '../ports/read-query.interface.js';
import type { SummarySource } from '../ports/summary-source.interface.js';
import type { ReportRow } from '../ports/report-query.interface.js';
import { streamReport } from './report-reader.js';
import { DEFAULT_TIMEOUT_MS, SummaryReader } from './summary-reader.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import { UnindexedReads } from './unindexed-reads.js';
import { rowFormat } from './row-format.js';
import type { RowFormat } from './row-format.js';

/** What a reader works with. @internal */
export interface UsageReaderParts<T extends LedgerTable> {
  readonly definition: T;
  /** Where each read takes its connection from. */
  readonly connections: SessionLender;
  /** How far this process's view reaches; asked before each read. */
  readonly asOf: () => Date;
  /** Milliseconds that one read may take, waiting for a connection included. Default: 10,000. */
  readonly timeoutMs?: number;
  /** Is asked for sums first; undefined: summaries add up the rows. */
  readonly source?: SummarySource | undefined;
  /** Hears once of reads that no index serves; default: nobody does. */
  readonly logger?: Pick<LedgerLogger, 'warn'> | undefined;
}

/**
 * Reads a ledger back as plain JSON. It sees what is committed; entries in the channel are not.
 *
 * @internal
 */
export class UsageReader<T extends LedgerTable = LedgerTable> {
  private readonly definition: LedgerTable;
  private readonly format: RowFormat;
  private readonly summaries: SummaryReader;
  private readonly unindexed: UnindexedReads;

  constructor(private readonly parts: UsageReaderParts<T>) {
    this.definition = parts.definition;
    this.format = rowFormat(parts.definition);
    this.unindexed = new UnindexedReads(parts);
    this.summaries = new SummaryReader(parts, this.unindexed);
  }

  /**
   * Adds up tokens by direction over the half-open period `[from, to)`.
   *
   * @throws LedgerReadError `invalid` for a wrong argument, `overflow` for a figure above 2^53 - 1,
   * `busy` if too many reads are under way, `timeout` or `failed` if the database gave no answer
   */
  summary(query: SummaryQuery<T>): Promise<UsageSummary> {
    return this.summaries.read(query);
  }

  /**
   * Lists entries of a user or of a filter, newest first. Pages follow each other without gap or repetition, also
   * while entries arrive: a page begins after the last entry of the one before.
   *
   * @throws LedgerReadError `invalid` for a wrong argument (a cursor of one's own making included),
   * `busy` if too many reads are under way, `timeout` or `failed` if the database gave no answer
   */
  async listRecent(query: RecentQuery<T>): Promise<RecentPage<T>> {
    const { filters, limit, after } = parseRecentQuery(this.definition, query);
    const parameters = new SqlParameters();
    const conditions = filterSql(filters, parameters);
    if (after !== undefined) {
      const moment = parameters.add(momentText(after.micros), 'timestamptz');
      conditions.push(`(created_at, uuid) < (${moment}, ${parameters.add(after.uuid, 'uuid')})`);
    }
    const asOf = this.parts.asOf().toISOString();
    await this.unindexed.look('listRecent', filters);
    // One row more than asked for tells whether there is a next page. Without the alias the order
    // would be that of the texts in the select list, which no index has.
    const rows = await this.read(
      (table) =>
        `SELECT ${this.format.selectList}
        FROM ${table} AS e WHERE ${conditions.join(' AND ')}
        ORDER BY e.created_at DESC, e.uuid DESC LIMIT ${limit + 1}`,
      parameters.values,
    );
    const page = rows.slice(0, limit);
    const entries = page.map((row) => this.format.parse(row) as RecentEntry<T>);
    const isLast = rows.length <= limit;
    return { entries, nextCursor: isLast ? null : this.cursorAfter(page, entries), asOf };
  }

  /** As `LedgerService.report`. @param query a `ReportQuery`, checked here */
  report(query: object): AsyncGenerator<ReportRow, void, undefined> {
    return streamReport(this.definition, this.parts.connections, query);
  }

  /** The entry with this uuid, or undefined. @throws LedgerReadError as the other reads */
  async find(uuid: string): Promise<RecentEntry<T> | undefined> {
    const value = parseId('uuid', uuid, 'uuid');
    const [row] = await this.read(
      (table) => `SELECT ${this.format.selectList} FROM ${table} AS e WHERE e.uuid = $1::uuid`,
      [value],
    );
    return row && (this.format.parse(row) as RecentEntry<T>);
  }

  private cursorAfter(page: readonly TextRow[], entries: readonly { uuid: string }[]): string {
    const micros = this.format.createdAt(page.at(-1) ?? []);
    return encodeCursor({ micros, uuid: entries.at(-1)?.uuid ?? '' });
  }

  private read(
    text: (table: string) => string,
    values: readonly string[],
  ): Promise<readonly TextRow[]> {
    const { connections, timeoutMs = DEFAULT_TIMEOUT_MS } = this.parts;
    return readRows(
      connections,
      (schema) => ({ text: text(tableNames(this.definition, schema).sqlEntries), values }),
      timeoutMs,
    );
  }
}
