import { migrateCommand } from '../entry/ledger-command.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { LedgerReadError } from '../errors/ledger-read.error.js';
import type { SummaryFilter } from '../ports/summary-filter.interface.js';
import type { SummarySource, SummarySums } from '../ports/summary-source.interface.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import { readRows, SqlParameters, type ReadStatement } from '../postgres/read-rows.js';
import type { SessionLender } from '../postgres/session-lender.interface.js';
import { tableNames } from '../postgres/table-names.js';
import { rollupNames } from './rollup-layout.js';

/** Dependencies of the summary source. @internal */
export interface RollupSummarySourceParts {
  readonly definition: LedgerTable;
  readonly connections: SessionLender;
  /** Dimensions of the rollups; undefined without rollups. */
  readonly dimensions: () => readonly string[] | undefined;
  /** Called once with a line if the rollups can't be read. */
  readonly onNotice: (text: string) => void;
}

/** If rollups can't be read, only rows are read for this many milliseconds. */
const PLAIN_MS = 60_000;
/** SQLSTATEs: no such table, column, function or schema; no permission. */
const NO_ROLLUPS = ['42P01', '42703', '42883', '3F000', '42501'];

/**
 * Reads sums from rollups and rows in one snapshot, with the function that migrations define.
 *
 * @internal
 */
export class RollupSummarySource implements SummarySource {
  readonly #parts: RollupSummarySourceParts;
  #plainUntil = Number.NEGATIVE_INFINITY;
  #hasWarned = false;
  /** Known once a connection was lent; the remedy contains it. */
  #connectionSchema: string | undefined;

  constructor(parts: RollupSummarySourceParts) {
    this.#parts = parts;
  }

  async read(filter: SummaryFilter, timeoutMs: number): Promise<SummarySums | undefined> {
    const { definition, connections, dimensions } = this.#parts;
    const known = dimensions();
    // NULL means "not given" to the function.
    const isKnown = filter.filters.every(
      ({ column, value }) => value !== null && known?.includes(column),
    );
    if (known === undefined || !isKnown || performance.now() < this.#plainUntil) return undefined;
    try {
      const make = (schema: string | undefined) => {
        this.#connectionSchema = schema;
        return statementOf(definition, schema, filter);
      };
      const [row] = await readRows(connections, make, timeoutMs);
      const [consumed, supplied, entries] = row ?? [];
      return { consumed: consumed ?? '0', supplied: supplied ?? '0', entries: entries ?? '0' };
    } catch (error) {
      const { sqlState } = error as LedgerReadError;
      if (sqlState === undefined || !NO_ROLLUPS.includes(sqlState)) throw error;
      this.#plainUntil = performance.now() + PLAIN_MS;
      this.#warn(sqlState);
      return undefined;
    }
  }

  #warn(sqlState: string): void {
    const { definition, onNotice } = this.#parts;
    const { table } = definition;
    // Rollups that the definition does not request may be dropped at any time.
    if (this.#hasWarned || !definition.rollup) return;
    this.#hasWarned = true;
    onNotice(
      `summary() adds up all rows of ${table}, since its rollups can't be read (${sqlState}): ` +
        `run \`${migrateCommand(definition, this.#connectionSchema)}\`, and GRANT SELECT on ` +
        `${table}_rollups, ${table}_rollup_state, ${table}_rollup_marks`,
    );
  }
}

function statementOf(
  table: LedgerTable,
  schema: string | undefined,
  { filters, from, to }: SummaryFilter,
): ReadStatement {
  const parameters = new SqlParameters();
  const { sqlEntries } = tableNames(table, schema);
  const { sqlSummary } = rollupNames(table, schema);
  const given = [
    `p_entries => ${parameters.add(sqlEntries, 'regclass')}`,
    ...(from ? [`p_from => ${parameters.add(from.toISOString(), 'timestamptz')}`] : []),
    ...(to ? [`p_to => ${parameters.add(to.toISOString(), 'timestamptz')}`] : []),
    ...filters.map(
      ({ column, type, value }) =>
        `${quoteIdentifier(`p_${column}`)} => ${parameters.add(value!, type)}`,
    ),
  ];
  // Naming the table locks it before the snapshot is taken, so no partition is retired in between,
  // and no TRUNCATE, which ignores snapshots, runs in between. ONLY: no partition is opened.
  const text = `SELECT o_consumed::text, o_supplied::text, o_entries::text
    FROM ${sqlSummary}(${given.join(', ')})
    WHERE NOT EXISTS (SELECT FROM ONLY ${sqlEntries} WHERE false)`;
  return { text, values: parameters.values };
}
