import type { LedgerTable } from '../entry/ledger-definition.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import { tableNames } from '../migrations/table-names.js';
import type { PgConnections } from '../sink/postgres/pg-connections.js';
import { decodeCursor, encodeCursor, momentText } from './page-cursor.js';
import { checkFields, parseId, parseLimit, parseMoment } from './parse-read-query.js';
import { readRows } from './read-rows.js';
import type { TextRow } from './read-rows.js';
import type {
  RecentEntry,
  RecentPage,
  RecentQuery,
  SummaryQuery,
  UsageSummary,
} from './read-query.interface.js';
import { microsSql, rowFormat } from './row-format.js';
import type { RowFormat } from './row-format.js';

/** What a reader works with. @internal */
export interface UsageReaderParts<T extends LedgerTable> {
  readonly definition: T;
  /** Where each read takes its connection from. */
  readonly connections: PgConnections;
  /** How far this process's view reaches; asked before each read. */
  readonly asOf: () => Date;
  /** Milliseconds that one read may take, waiting for a connection included. Default: 10,000. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** The first column of a page's rows, for the cursor; the fields follow. */
const MICROS_OF_PAGE = microsSql('created_at');

/**
 * Reads a ledger back as plain JSON. It sees what is committed; entries in the channel are not.
 *
 * @internal
 */
export class UsageReader<T extends LedgerTable = LedgerTable> {
  private readonly definition: LedgerTable;
  private readonly format: RowFormat;

  constructor(private readonly parts: UsageReaderParts<T>) {
    this.definition = parts.definition;
    this.format = rowFormat(parts.definition);
  }

  /**
   * Adds up tokens by direction over the half-open period `[from, to)`.
   *
   * @throws LedgerReadError `invalid` for a wrong argument, `overflow` for a figure above 2^53 - 1,
   * `timeout` or `failed` if the database gave no answer
   */
  async summary(query: SummaryQuery<T>): Promise<UsageSummary> {
    const { where, values } = this.summaryFilter(query);
    const asOf = this.parts.asOf().toISOString();
    const tokens = 'prompt_tokens::bigint + completion_tokens';
    const rows = await this.read(
      (table) =>
        `SELECT coalesce(sum(${tokens}) FILTER (WHERE direction = 'consume'), 0)::text,
          coalesce(sum(${tokens}) FILTER (WHERE direction = 'supply'), 0)::text,
          count(*)::text
        FROM ${table}${where}`,
      values,
    );
    const [consumed, supplied, entries] = (rows[0] ?? []).map((sum) => BigInt(sum ?? 0));
    return {
      consumedTokens: exactNumber('consumedTokens', consumed),
      suppliedTokens: exactNumber('suppliedTokens', supplied),
      netTokens: exactNumber('netTokens', (supplied ?? 0n) - (consumed ?? 0n)),
      entries: exactNumber('entries', entries),
      asOf,
    };
  }

  /**
   * Lists a user's entries, newest first. Pages follow each other without gap or repetition, also
   * while entries arrive: a page begins after the last entry of the one before.
   *
   * @throws LedgerReadError `invalid` for a wrong argument (a cursor of one's own making included),
   * `timeout` or `failed` if the database gave no answer
   */
  async listRecent(query: RecentQuery<T>): Promise<RecentPage<T>> {
    const fields = checkFields(query, ['userId', 'limit', 'cursor']);
    const values = [parseId('userId', fields['userId'], this.definition.ids)];
    const limit = parseLimit(fields['limit']);
    let after = '';
    if (fields['cursor'] !== undefined) {
      const { micros, uuid } = decodeCursor(fields['cursor']);
      values.push(momentText(micros), uuid);
      after = ' AND (created_at, uuid) < ($2::timestamptz, $3::uuid)';
    }
    const asOf = this.parts.asOf().toISOString();
    // One row more than asked for tells whether there is a next page.
    const rows = await this.read(
      (table) =>
        `SELECT ${MICROS_OF_PAGE}, ${this.format.selectList}
        FROM ${table} WHERE user_id = $1::${this.definition.ids}${after}
        ORDER BY created_at DESC, uuid DESC LIMIT ${limit + 1}`,
      values,
    );
    const page = rows.slice(0, limit);
    const entries = page.map((row) => this.format.parse(row.slice(1)) as RecentEntry<T>);
    return { entries, nextCursor: rows.length > limit ? cursorAfter(page, entries) : null, asOf };
  }

  private summaryFilter(query: SummaryQuery<T>): { where: string; values: string[] } {
    const fields = checkFields(query, ['userId', 'apiKeyId', 'serviceId', 'from', 'to']);
    const { ids } = this.definition;
    const values: string[] = [];
    const conditions: string[] = [];
    const add = (condition: string, type: string, value: string): void => {
      values.push(value);
      conditions.push(`${condition} $${values.length}::${type}`);
    };
    const idColumns = { userId: 'user_id', apiKeyId: 'api_key_id', serviceId: 'service_id' };
    for (const [field, column] of Object.entries(idColumns)) {
      const value = fields[field];
      if (value !== undefined) add(`${column} =`, ids, parseId(field, value, ids));
    }
    const { from, to } = fields;
    // Constants, not parameters: the planner compares them with the conditions of partial indexes.
    if (from !== undefined) {
      conditions.push(`created_at >= '${parseMoment('from', from)}'::timestamptz`);
    }
    if (to !== undefined) {
      conditions.push(`created_at < '${parseMoment('to', to)}'::timestamptz`);
    }
    if (from !== undefined && to !== undefined && (from as Date) > (to as Date)) {
      throw new LedgerReadError('invalid', 'from', 'must not be after `to`');
    }
    return { where: conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '', values };
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

function cursorAfter(page: readonly TextRow[], entries: readonly { uuid: string }[]): string {
  const micros = BigInt(page.at(-1)?.[0] ?? 0);
  return encodeCursor({ micros, uuid: entries.at(-1)?.uuid ?? '' });
}

/** @throws LedgerReadError `overflow` rather than a figure that is off by a token */
function exactNumber(field: string, sum: bigint | undefined): number {
  const figure = Number(sum ?? 0n);
  if (!Number.isSafeInteger(figure)) {
    throw new LedgerReadError('overflow', field, 'is above 2^53 - 1 and has no exact figure');
  }
  return figure;
}
