import { MEASURES_OF_ENTRY } from '../postgres/measures-sql.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { dimensions, IS_LATE, rollupNames, SERIES, TOP_LEVEL } from './rollup-tables.js';
import { tableNames } from '../postgres/table-names.js';
import { CHANGES, FRESH, GROWN, OVERFULL, SeriesSql } from './series-sql.js';
import type { FoldSizes } from './series-sql.js';

/** One statement of a fold. */
export interface FoldStatement {
  readonly sql: string;
  /**
   * Its parameters, as indexes of: closed before and written until before the fold, the same after
   * it, seconds of a grain, before which partitions were retired.
   */
  readonly moments: readonly number[];
}

/** The statements of one fold; each part in order, and the parts too. @internal */
export interface FoldSql {
  /** Answers whether there is anything to fold: it costs far less than the tables of a fold. */
  readonly anything: FoldStatement;
  /**
   * Answers until when late entries may be taken in, so that they are no more than so many; no row:
   * all of them. Parameters: written until before the fold, and as it would be after it; how many.
   */
  readonly lateUntil: string;
  /** Late entries that one fold takes in, about: those of one transaction are not told apart. */
  readonly lateEntries: number;
  /** Makes marks of late entries that are too many for one fold: of those it takes in what it can. */
  readonly setAside: FoldStatement;
  /** Collects what is to be folded. */
  readonly gather: readonly FoldStatement[];
  /** Collects entries that came into reach, one by one. */
  readonly rows: FoldStatement;
  /** The same, as sums of short times, which is less work if there are many in few minutes. */
  readonly grains: FoldStatement;
  /** Answers how many entries came into reach, how many differences, and whether more are left. */
  readonly found: string;
  /** Only if there are differences. */
  readonly change: readonly FoldStatement[];
  /** Only if there are entries. */
  readonly cut: readonly FoldStatement[];
  /** Only if there are differences. */
  readonly recut: readonly FoldStatement[];
  /** Makes the higher levels. */
  readonly join: readonly FoldStatement[];
}

/**
 * Spans of a key lie end to end, from `-infinity` on. The last one of the lowest level ends with
 * `infinity`: it has what was created before the moment of the fold, and grows until it is full.
 * Whole spans of a level make one of the next.
 *
 * @internal
 */
export function foldSql(table: LedgerTable, schema: string | undefined, sizes: FoldSizes): FoldSql {
  const series = SERIES.map((one) => new SeriesSql(table, schema, one, sizes));
  const levels = Array.from({ length: TOP_LEVEL }, (_, index) => index + 1);
  const statement = (sql: string, ...moments: number[]): FoldStatement => ({ sql, moments });
  return {
    anything: anything(table, schema),
    lateUntil: lateUntil(table, schema),
    lateEntries: sizes.changes,
    setAside: setAside(table, schema),
    gather: gather(table, schema, sizes.changes),
    ...fresh(table, schema),
    found: `SELECT (SELECT coalesce(sum(entries), 0) FROM ${FRESH})::text,
      (SELECT count(*) FROM ${CHANGES})::text,
      (EXISTS (SELECT FROM ${rollupNames(table, schema).sqlMarks}))::text`,
    change: series.flatMap((one) => [0, ...levels].map((level) => statement(one.change(level)))),
    cut: series.map((one) => statement(one.cut(), 0)),
    recut: series.flatMap((one) => [statement(one.noteOverfull()), statement(one.recut(), 2, 3)]),
    join: levels.flatMap((level) => series.map((one) => statement(one.join(level)))),
  };
}

const SUMS = 'sum(consumed) AS consumed, sum(supplied) AS supplied, sum(entries) AS entries';

function entriesSql(table: LedgerTable, schema: string | undefined): string {
  const list = dimensions(table).map(quoteIdentifier).join(', ');
  return `SELECT created_at AS at, ${list}, ${MEASURES_OF_ENTRY}, 1::bigint AS entries
    FROM ${tableNames(table, schema).sqlEntries}`;
}

/** To be planned with bitmaps alone: for one entry the planner would rather read a whole table or index. */
function anything(table: LedgerTable, schema: string | undefined): FoldStatement {
  const { sqlEntries } = tableNames(table, schema);
  const [closed, written, before, until] = [1, 2, 3, 4].map((place) => `$${place}::timestamptz`);
  const fresh = `${sqlEntries} WHERE created_at >= ${closed} AND created_at < ${before}
    AND written_at <= ${until}`;
  const late = `${sqlEntries} WHERE ${IS_LATE} AND written_at > ${written}
    AND written_at <= ${until} AND created_at < ${closed}`;
  const any = [fresh, late, rollupNames(table, schema).sqlMarks]
    .map((from) => `EXISTS (SELECT FROM ${from})`)
    .join(' OR ');
  return { sql: `SELECT (${any})::text`, moments: [0, 1, 2, 3] };
}

/** Entries of one transaction have one moment, so they are taken in together. */
function lateUntil(table: LedgerTable, schema: string | undefined): string {
  return `SELECT ceil(extract(epoch FROM written_at) * 1000)::bigint::text
    FROM ${tableNames(table, schema).sqlEntries}
    WHERE ${IS_LATE} AND written_at > $1::timestamptz AND written_at <= $2::timestamptz
    ORDER BY written_at OFFSET $3::text::bigint LIMIT 1`;
}

/** From which moment on an entry is late, and until which, for a fold. */
function isLateSql(closed: string, written: string, until: string, retired: string): string {
  return `${IS_LATE} AND written_at > ${written} AND written_at <= ${until}
    AND created_at < ${closed} AND created_at >= ${retired}`;
}

function setAside(table: LedgerTable, schema: string | undefined): FoldStatement {
  const list = dimensions(table).map(quoteIdentifier).join(', ');
  const { sqlMarks } = rollupNames(table, schema);
  const [closed, written, until, retired] = ['$1', '$2', '$3', '$4'].map(
    (place) => `${place}::timestamptz`,
  ) as [string, string, string, string];
  return {
    sql: `INSERT INTO ${sqlMarks} (created_at, written_at, ${list}, consumed, supplied, entries)
      SELECT created_at, written_at, ${list}, ${SUMS}
      FROM (SELECT created_at, written_at, ${list}, ${MEASURES_OF_ENTRY}, 1::bigint AS entries
        FROM ${tableNames(table, schema).sqlEntries}
        WHERE ${isLateSql(closed, written, until, retired)}) AS late
      GROUP BY created_at, written_at, ${list}`,
    moments: [0, 1, 3, 5],
  };
}

function fresh(
  table: LedgerTable,
  schema: string | undefined,
): { rows: FoldStatement; grains: FoldStatement } {
  const list = dimensions(table).map(quoteIdentifier).join(', ');
  const rows = `${entriesSql(table, schema)} WHERE created_at >= $1::timestamptz
    AND created_at < $2::timestamptz AND written_at <= $3::timestamptz`;
  // As date_bin would do it, which PostgreSQL 13 has not. Doubles are exact for so few microseconds.
  const micros = `round(date_part('epoch', at - $1::timestamptz) * 1000000)`;
  const size = `floor($4::text::double precision * 1000000)`;
  return {
    rows: { sql: `INSERT INTO ${FRESH} ${rows}`, moments: [0, 2, 3] },
    // All sums of a grain have one moment, its beginning: a span may begin there.
    grains: {
      sql: `INSERT INTO ${FRESH}
        SELECT $1::timestamptz + grain * ${size} * interval '1 microsecond', ${list},
          consumed, supplied, entries
        FROM (SELECT floor(${micros} / ${size}) AS grain, ${list}, ${SUMS} FROM (${rows}) r
          GROUP BY 1, ${list}) g`,
      moments: [0, 2, 3, 4],
    },
  };
}

function gather(table: LedgerTable, schema: string | undefined, changes: number): FoldStatement[] {
  const { sqlEntries } = tableNames(table, schema);
  const { sqlMarks } = rollupNames(table, schema);
  const list = dimensions(table).map(quoteIdentifier).join(', ');
  const rows = entriesSql(table, schema);
  const [$1, $2, $3, $4] = ['$1', '$2', '$3', '$4'].map((place) => `${place}::timestamptz`) as [
    string,
    string,
    string,
    string,
  ];
  const temporary = (name: string, query: string): FoldStatement => ({
    // CREATE TABLE AS takes no parameters: it makes the columns alone.
    sql: `CREATE TEMPORARY TABLE ${name.replace('pg_temp.', '')} ON COMMIT DROP AS
      SELECT ${query} FROM (SELECT created_at AS at, ${list}, 0::bigint AS entries,
        0::bigint AS consumed, 0::bigint AS supplied FROM ${sqlEntries}) x WHERE false`,
    moments: [],
  });
  const isMeant = `created_at < ${$1} AND created_at >= ${$4} AND written_at <= ${$2}`;
  const numeric = ['consumed', 'supplied', 'entries'].map((each) => `${each}::numeric AS ${each}`);
  return [
    temporary(FRESH, `at, ${list}, consumed, supplied, entries`),
    temporary(CHANGES, `at, ${list}, ${numeric.join(', ')}`),
    temporary(GROWN, '0::smallint AS series, user_id AS key'),
    temporary(OVERFULL, '0::smallint AS series, user_id AS key, at AS lo, at AS hi'),
    {
      // A mark of an entry that was not folded is void: its row tells all. So is what lies in a time
      // that was retired: the spans there are gone, and reads take the rows. Void ones go at once,
      // since they would count after this fold; of the others some may stay, as reads count them.
      sql: `WITH gone AS (DELETE FROM ${sqlMarks} WHERE NOT (${isMeant})
          OR ctid IN (SELECT ctid FROM ${sqlMarks} WHERE ${isMeant} LIMIT ${changes}) RETURNING *)
        INSERT INTO ${CHANGES} SELECT at, ${list}, ${SUMS} FROM (
          ${rows} WHERE ${isLateSql($1, $2, $3, $4)}
          UNION ALL
          SELECT created_at, ${list}, consumed, supplied, entries FROM gone
          WHERE ${isMeant}) AS d GROUP BY at, ${list}`,
      moments: [0, 1, 3, 5],
    },
  ];
}
