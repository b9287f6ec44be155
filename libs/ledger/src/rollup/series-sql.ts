import { MEASURES_OF_ENTRY } from '../postgres/measures-sql.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { BACK_IN_TIME, IN_TIME, rollupNames, seriesDimensions } from './rollup-tables.js';
import type { Series } from './rollup-tables.js';
import { tableNames } from '../postgres/table-names.js';

/** Entries that came into reach: at, dimensions, sums. */
export const FRESH = 'pg_temp.ledger_rollup_fresh';
/** Differences of what was folded before: at, dimensions, sums. */
export const CHANGES = 'pg_temp.ledger_rollup_changes';
/** Keys that have new whole spans: series, key. */
export const GROWN = 'pg_temp.ledger_rollup_grown';
/** Spans to be cut anew: series, key, lo, hi. */
export const OVERFULL = 'pg_temp.ledger_rollup_overfull';

/** A span that late entries have filled so many times over is cut anew. */
const OVERFULL_TIMES = 8;

/** How large spans and folds are. @internal */
export interface FoldSizes {
  readonly spanEntries: number;
  readonly fanOut: number;
  /** Entries of the past, and as many changes of it, that one fold takes in. */
  readonly changes: number;
}

const SUMS = 'sum(consumed) AS consumed, sum(supplied) AS supplied, sum(entries) AS entries';

/**
 * Statements of a fold on the spans of one series.
 *
 * @internal
 */
export class SeriesSql {
  readonly #rollups: string;
  readonly #marks: string;
  readonly #entries: string;
  readonly #list: string;
  readonly #series: Series;
  /** NULL is the one key of the series that has no column. */
  readonly #key: string;

  constructor(
    table: LedgerTable,
    schema: string | undefined,
    series: Series,
    private readonly sizes: FoldSizes,
  ) {
    this.#rollups = rollupNames(table, schema).sqlRollups;
    this.#marks = rollupNames(table, schema).sqlMarks;
    this.#entries = tableNames(table, schema).sqlEntries;
    this.#list = seriesDimensions(table, series).map(quoteIdentifier).join(', ');
    this.#series = series;
    this.#key = series.column ?? `NULL::${table.ids}`;
  }

  /** Adds differences to the spans that hold their moments. */
  change(level: number): string {
    const span = `SELECT r.lo, r.hi FROM ${this.#rollups} r
      WHERE ${this.#spans(level)} AND r.hi > k.at ORDER BY ${IN_TIME} LIMIT 1`;
    // A key that is new has its first span here; higher levels are made of lower ones alone.
    const join = level === 0 ? 'LEFT JOIN' : 'JOIN';
    return `WITH hit AS MATERIALIZED (
        SELECT k.*, coalesce(s.lo, '-infinity') AS lo, coalesce(s.hi, 'infinity') AS hi
        FROM (${this.#keyed(CHANGES)}) k ${join} LATERAL (${span}) s ON true),
      old AS (DELETE FROM ${this.#rollups} r USING (SELECT DISTINCT key, hi FROM hit) k
        WHERE ${this.#spans(level)} AND r.hi = k.hi RETURNING r.*),
      both_ AS (SELECT key, lo, hi, ${this.#list}, consumed, supplied, entries FROM hit
        UNION ALL SELECT key, lo, hi, ${this.#list}, consumed, supplied, entries FROM old)
      ${this.#insert()} SELECT ${this.#series.series}, ${level}, key, lo, hi, ${this.#list}, ${SUMS}
        FROM both_ GROUP BY key, lo, hi, ${this.#list}`;
  }

  /**
   * Adds entries to the last span of their key, and cuts it where it is full. One that was changed
   * twice may have the later difference folded first: then a span has fewer entries than none.
   * Parameter: closed before.
   */
  cut(): string {
    const row = (at: string, n: string): string => `SELECT key, ${at} AS at,
      '-infinity'::timestamptz AS low, 'infinity'::timestamptz AS high, ${this.#list},
      consumed::bigint, supplied::bigint, entries::bigint, ${n} AS n`;
    return `WITH fresh AS (${this.#keyed(FRESH)}),
      old AS (DELETE FROM ${this.#rollups} r USING (SELECT DISTINCT key FROM fresh) k
        WHERE ${this.#spans(0)} AND r.hi = 'infinity' RETURNING r.*),
      pieces AS (${row('at', 'entries::integer')} FROM fresh
        UNION ALL ${row('lo', `greatest(0, least(entries, ${this.sizes.spanEntries}))::integer`)} FROM old),
      ${this.#cutPieces('block = 0 AND start >= $1::timestamptz')}`;
  }

  /** Notes spans that differences have filled by far. */
  noteOverfull(): string {
    return `INSERT INTO ${OVERFULL}
      SELECT ${this.#series.series}, s.key, s.lo, s.hi
      FROM (SELECT DISTINCT key, at FROM (${this.#keyed(CHANGES)}) c) k
      CROSS JOIN LATERAL (SELECT r.hi FROM ${this.#rollups} r
        WHERE ${this.#spans(0)} AND r.hi > k.at ORDER BY ${IN_TIME} LIMIT 1) found
      CROSS JOIN LATERAL (SELECT r.key, r.lo, r.hi, sum(r.entries) AS entries FROM ${this.#rollups} r
        WHERE ${this.#spans(0)} AND r.hi = found.hi GROUP BY r.key, r.lo, r.hi) s
      WHERE s.entries > ${OVERFULL_TIMES * this.sizes.spanEntries} GROUP BY s.key, s.lo, s.hi`;
  }

  /**
   * Makes them anew from the rows, which have all differences already: those that are left for the
   * next fold are taken out. Parameters: closed before, written until.
   */
  recut(): string {
    const own = this.#series.column === undefined ? '' : `e.${this.#key} = k.key AND`;
    const within = `${own} e.created_at >= k.lo AND e.created_at < least(k.hi, $1::timestamptz)`;
    const nothing = this.#list
      .split(', ')
      .map(() => 'NULL')
      .join(', ');
    const wanted = `(SELECT * FROM ${OVERFULL} WHERE series = ${this.#series.series}) k`;
    return `WITH old AS (DELETE FROM ${this.#rollups} r USING ${wanted}
        WHERE ${this.#spans(0)} AND r.hi = k.hi),
      pieces AS (SELECT k.key, e.created_at AS at, k.lo AS low, k.hi AS high, ${this.#list},
          ${MEASURES_OF_ENTRY}, 1::bigint AS entries, 1 AS n
        FROM ${wanted} JOIN ${this.#entries} e ON ${within} AND e.written_at <= $2::timestamptz
        UNION ALL SELECT k.key, e.created_at, k.lo, k.hi, ${this.#list},
          -e.consumed, -e.supplied, -e.entries, 0
        FROM ${wanted} JOIN ${this.#marks} e ON ${within}
        -- Its rows may have left with their partition: a line has no gaps.
        UNION ALL SELECT k.key, k.lo, k.lo, k.hi, ${nothing}, 0, 0, 0, 0 FROM ${wanted}),
      ${this.#cutPieces('block = 0')}`;
  }

  /** Makes spans of a level out of as many whole ones of the level below as it takes. */
  join(level: number): string {
    const below = this.#spans(level - 1);
    return `WITH line AS (
        SELECT k.key, x.lo, x.hi,
          (row_number() OVER (PARTITION BY k.key ORDER BY x.hi) - 1) / ${this.sizes.fanOut} AS part
        FROM (SELECT DISTINCT key FROM ${GROWN} WHERE series = ${this.#series.series}) k
        CROSS JOIN LATERAL (SELECT DISTINCT r.lo, r.hi FROM ${this.#rollups} r
          WHERE ${below} AND r.hi < 'infinity' AND r.hi > coalesce(
            (SELECT r.hi FROM ${this.#rollups} r WHERE ${this.#spans(level)}
              ORDER BY ${BACK_IN_TIME} LIMIT 1), '-infinity')) x),
      whole AS (SELECT key, min(lo) AS lo, max(hi) AS hi FROM line
        GROUP BY key, part HAVING count(*) = ${this.sizes.fanOut})
      ${this.#insert()}
        SELECT ${this.#series.series}, ${level}, k.key, k.lo, k.hi, ${this.#list}, ${SUMS}
        FROM whole k CROSS JOIN LATERAL (
          SELECT ${this.#list}, consumed, supplied, entries FROM ${this.#rollups} r
          WHERE ${below} AND r.hi > k.lo AND r.hi <= k.hi) x
        GROUP BY k.key, k.lo, k.hi, ${this.#list}`;
  }

  /** Spans `r` of the key of `k`. */
  #spans(level: number): string {
    const key = this.#series.column === undefined ? 'r.key IS NULL' : 'r.key = k.key';
    return `r.series = ${this.#series.series} AND r.level = ${level} AND ${key}`;
  }

  /** Rows with this series' key; those without one are not its own. */
  #keyed(source: string): string {
    const where = this.#series.column === undefined ? '' : `WHERE ${this.#key} IS NOT NULL`;
    return `SELECT ${this.#key} AS key, at, ${this.#list}, consumed, supplied, entries
      FROM ${source} ${where}`;
  }

  #insert(): string {
    return `INSERT INTO ${this.#rollups}
      (series, level, key, lo, hi, ${this.#list}, consumed, supplied, entries)`;
  }

  /**
   * Numbers the entries of each line in the order of time, and cuts it after each so many; those of
   * one moment stay together.
   *
   * @param isFirst true for the piece that begins where the line does, not at its own first entry
   */
  #cutPieces(isFirst: string): string {
    return `counted AS (SELECT *, coalesce(sum(n) OVER (PARTITION BY key, low, high ORDER BY at
          GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) / ${this.sizes.spanEntries} AS block
        FROM pieces),
      grouped AS (SELECT key, low, high, block, min(at) AS at, ${this.#list}, ${SUMS} FROM counted
        GROUP BY key, low, high, block, ${this.#list}),
      bounded AS (SELECT *, min(at) OVER (PARTITION BY key, low, high, block) AS start,
          min(at) OVER (PARTITION BY key, low, high ORDER BY block
            GROUPS BETWEEN 1 FOLLOWING AND 1 FOLLOWING) AS next
        FROM grouped),
      made AS (${this.#insert()}
        SELECT ${this.#series.series}, 0, key, CASE WHEN ${isFirst} THEN low ELSE start END,
          coalesce(next, high), ${this.#list}, consumed, supplied, entries
        FROM bounded RETURNING key, hi)
      INSERT INTO ${GROWN} SELECT DISTINCT ${this.#series.series}, key FROM made
      WHERE hi < 'infinity'`;
  }
}
