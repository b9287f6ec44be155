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

/** Dependencies of a reader. @internal */
export interface UsageReaderParts<T extends LedgerTable> {
  readonly definition: T;
  /** Source of each read's connection. */
  readonly connections: SessionLender;
  /** The time of this process's view; read before each query. */
  readonly asOf: () => Date;
  /**
   * Time limit of one read in milliseconds, including the wait for a connection. Default: 10,000.
   */
  readonly timeoutMs?: number;
  /** First source of sums; undefined: summaries add up the rows. */
  readonly source?: SummarySource | undefined;
  /** Called once for reads without an index; default: none. */
  readonly logger?: Pick<LedgerLogger, 'warn'> | undefined;
}

/**
 * Reads a ledger as plain JSON. It sees committed entries only, not those in the channel.
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
   * Lists entries of a user or of a filter, newest first. Pages have no gaps or repetitions, even
   * while entries arrive, because each begins after the last entry of the previous one.
   *
   * @throws LedgerReadError `invalid` for a wrong argument (including a cursor that this method did
   * not return), `busy` if too many reads are under way, `timeout` or `failed` if the database gave
   * no answer
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
    // One extra row shows whether there is a next page. Without the alias, the order would be that
    // of the texts in the select list, which no index has.
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

  /** See `LedgerService.report`. @param query a `ReportQuery`, checked here */
  report(query: object): AsyncGenerator<ReportRow, void, undefined> {
    return streamReport(this.definition, this.parts.connections, query);
  }

  /** The entry with this uuid, or undefined. @throws LedgerReadError like the other reads */
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
