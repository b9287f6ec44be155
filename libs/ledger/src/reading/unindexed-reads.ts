import { indexedFields } from '../entry/entry-indexes.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { Filter } from '../ports/summary-filter.interface.js';
import { readRows, type ReadStatement } from '../postgres/read-rows.js';
import type { SessionLender } from '../postgres/session-lender.interface.js';
import { tableNames } from '../postgres/table-names.js';

/** Its catalog and its output. @internal */
export interface UnindexedReadsParts {
  readonly definition: LedgerTable;
  readonly connections: SessionLender;
  /** Called once for each set of fields; default: none. */
  readonly logger?: Pick<LedgerLogger, 'warn'> | undefined;
}

/** Time limit of one catalog query in milliseconds. */
const TIMEOUT_MS = 2_000;

/**
 * Warns about reads that scan all entries. The definition covers the usual ones. For others the
 * catalog is queried once, because the application may have created its own index.
 *
 * @internal
 */
export class UnindexedReads {
  readonly #seen = new Set<string>();

  constructor(private readonly parts: UnindexedReadsParts) {}

  /** Never rejects: the read itself reports what is wrong. @param read its name, for the text */
  async look(read: string, filters: readonly Filter[]): Promise<void> {
    const { definition, logger } = this.parts;
    if (logger === undefined || filters.length === 0) return;
    const asked = filters.filter(({ value }) => value !== null);
    const indexed = indexedFields(definition);
    const names = asked
      .map(({ field }) => field)
      .sort()
      .join(', ');
    if (asked.some(({ field }) => indexed.includes(field)) || this.#seen.has(names)) return;
    this.#seen.add(names);
    if (await this.#hasIndex(asked.map(({ column }) => column)).catch(() => true)) return;
    const what = names === '' ? 'of entries without a value' : `by ${names}`;
    logger.warn(
      `WARNING: ${read} ${what} scans all entries: no index begins with one of these columns;  ` +
        'name the field in `indexes` of defineLedger(), or create your own index',
    );
  }

  async #hasIndex(columns: readonly string[]): Promise<boolean> {
    const { definition, connections } = this.parts;
    const question = (schema: string | undefined): ReadStatement => ({
      text: `SELECT EXISTS (
        SELECT FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = pg_catalog.to_regclass($1::text) AND i.indisvalid
          AND a.attname = ANY (pg_catalog.string_to_array($2::text, ',')))::text`,
      values: [tableNames(definition, schema).sqlEntries, columns.join(',')],
    });
    const [row] = await readRows(connections, question, TIMEOUT_MS);
    return row?.[0] === 'true';
  }
}
