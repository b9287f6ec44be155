import { MEASURES_OF_ENTRY } from '../postgres/measures-sql.js';
import { IS_LATE, SERIES, TOP_LEVEL } from './rollup-layout.js';
import type { Series } from './rollup-layout.js';

// The function of `summary()`. It is a function because the server keeps the plans of its
// statements for the lifetime of a connection, even behind a pooler: planning such a read takes
// several times as long as running it. It is STABLE, so all its statements see one snapshot.

/**
 * Parameters and properties. The caller's search path finds the table; a search path of the
 * function would not.
 */
export const SUMMARY_HEAD = `(
  p_entries regclass DEFAULT NULL,
  p_from timestamptz DEFAULT NULL,
  p_to timestamptz DEFAULT NULL,
  {dimensionParameters},
  OUT o_consumed numeric,
  OUT o_supplied numeric,
  OUT o_entries numeric
) LANGUAGE plpgsql STABLE SET plan_cache_mode TO force_generic_plan SET jit TO off`;

/**
 * The SQL for one series. `seriesPart` fills these words in: `{series}`, the conditions `{isKey}`,
 * `{isOwn}` and `{isOwnMark}`, and the filters `{own.buckets}`, `{own.rows}` and `{own.marks}`.
 */
const SERIES_PART = `    IF v_closed > v_from THEN
      v_lo := v_from;
      IF v_from > '-infinity' THEN
        SELECT r.hi INTO v_lo
        FROM {schema}.{rollups.name} r
        WHERE r.series = {series} AND r.level = 0 AND {isKey} AND r.hi >= v_from
        ORDER BY r.series, r.level, r.key, r.hi
        LIMIT 1;
      END IF;
      -- The open bucket has no end of its own: it holds what was created before v_closed.
      v_hi := 'infinity';
      IF v_last < v_closed - v_tick THEN
        SELECT r.hi INTO v_hi
        FROM {schema}.{rollups.name} r
        WHERE r.series = {series} AND r.level = 0 AND {isKey} AND r.hi <= v_last + v_tick
        ORDER BY r.series DESC, r.level DESC, r.key DESC, r.hi DESC
        LIMIT 1;
      END IF;
      IF v_lo < v_hi THEN
        IF v_from < v_lo THEN
          v_row_froms := v_row_froms || v_from;
          v_row_lasts := v_row_lasts || (v_lo - v_tick);
        END IF;
        v_from := least(v_hi, v_closed);
        v_covered_from := v_lo;
        v_covered_last := v_from - v_tick;
        WHILE v_level < ${TOP_LEVEL} LOOP
          v_upper_lo := v_lo;
          IF v_lo > '-infinity' THEN
            SELECT r.hi INTO v_upper_lo
            FROM {schema}.{rollups.name} r
            WHERE r.series = {series} AND r.level = v_level + 1 AND {isKey} AND r.hi >= v_lo
            ORDER BY r.series, r.level, r.key, r.hi
            LIMIT 1;
          END IF;
          SELECT r.hi INTO v_upper_hi
          FROM {schema}.{rollups.name} r
          WHERE r.series = {series} AND r.level = v_level + 1 AND {isKey} AND r.hi <= v_hi
          ORDER BY r.series DESC, r.level DESC, r.key DESC, r.hi DESC
          LIMIT 1;
          EXIT WHEN (v_upper_lo < v_upper_hi) IS NOT TRUE;
          v_levels := v_levels || ARRAY[v_level, v_level];
          v_los := v_los || ARRAY[v_lo, v_upper_hi];
          v_his := v_his || ARRAY[v_upper_lo, v_hi];
          v_lo := v_upper_lo;
          v_hi := v_upper_hi;
          v_level := v_level + 1;
        END LOOP;
        v_levels := v_levels || v_level;
        v_los := v_los || v_lo;
        v_his := v_his || v_hi;
      END IF;
    END IF;
    IF v_from <= v_last THEN
      v_row_froms := v_row_froms || v_from;
      v_row_lasts := v_row_lasts || v_last;
    END IF;
    IF v_covered_from IS NOT NULL THEN
      SELECT coalesce(sum(x.consumed), 0), coalesce(sum(x.supplied), 0), coalesce(sum(x.entries), 0)
      INTO o_consumed, o_supplied, o_entries
      FROM (
        SELECT b.consumed, b.supplied, b.entries
        FROM unnest(v_levels, v_los, v_his) AS p (level, lo, hi)
        CROSS JOIN LATERAL (
          SELECT sum(r.consumed) AS consumed, sum(r.supplied) AS supplied, sum(r.entries) AS entries
          FROM {schema}.{rollups.name} r
          WHERE r.series = {series} AND r.level = p.level AND {isKey}
            AND r.hi > p.lo AND r.hi <= p.hi{own.buckets}
        ) AS b
        UNION ALL
        -- The few late entries since the last refresh. OFFSET keeps the other conditions out of the inner
        -- query: the planner knows no parameter's value and would rather read all entries of the user.
        SELECT l.consumed, l.supplied, 1
        FROM (
          SELECT ${MEASURES_OF_ENTRY}
          FROM (SELECT * FROM {schema}.{entries.name} WHERE ${IS_LATE} AND written_at > v_written OFFSET 0) AS e
          WHERE {isOwn} AND e.created_at >= v_covered_from AND e.created_at <= v_covered_last{own.rows}
        ) AS l
        UNION ALL
        -- Late entries that are noted and not yet part of a bucket.
        SELECT m.consumed, m.supplied, m.entries
        FROM {schema}.{rollupMarks.name} m
        WHERE {isOwnMark} AND m.created_at >= v_covered_from AND m.created_at <= v_covered_last
          AND m.written_at <= v_written{own.marks}
      ) AS x;
    END IF;
    FOR v_i IN 1 .. cardinality(v_row_froms) LOOP
      v_row_from := v_row_froms[v_i];
      v_row_last := v_row_lasts[v_i];
      SELECT o_consumed + coalesce(sum(t.consumed), 0), o_supplied + coalesce(sum(t.supplied), 0),
        o_entries + count(*)
      INTO o_consumed, o_supplied, o_entries
      FROM (
        SELECT ${MEASURES_OF_ENTRY}
        FROM {schema}.{entries.name} e
        WHERE {isOwn} AND e.created_at >= v_row_from AND e.created_at <= v_row_last{own.rows}
      ) AS t;
    END LOOP;`;

/**
 * @param column key of the series; undefined: all entries @param filters prefix of its filters'
 *   names
 */
function seriesPart({ series, column }: Series, filters: string): string {
  const isKeyOf = (name: string): string =>
    column === undefined ? 'true' : `${name} = p_${column}`;
  return SERIES_PART.replaceAll('{series}', String(series))
    .replaceAll('{isKey}', column === undefined ? 'r.key IS NULL' : isKeyOf('r.key'))
    .replaceAll('{isOwn}', isKeyOf(`e.${column}`))
    .replaceAll('{isOwnMark}', isKeyOf(`m.${column}`))
    .replaceAll('{own.', `{${filters}.`);
}

const [BY_USER, BY_API_KEY, OF_ALL] = SERIES;

/**
 * Its body. Periods are closed intervals of microseconds here, so that the infinite time is inside
 * a period without an end. Buckets are half-open: they contain (lo, hi] of bucket ends.
 *
 * It first determines the ranges to add up: ranges of buckets, on each level as few as possible,
 * and ranges of rows. Then one statement adds up the buckets, and one each range of rows, of which
 * there is nearly always one.
 */
// Entries may have a column v_from, so a column is always qualified with its table's alias.
export const SUMMARY_BODY = `
#variable_conflict use_variable
DECLARE
  v_tick CONSTANT interval := '1 microsecond';
  v_from timestamptz := coalesce(p_from, '-infinity');
  v_last timestamptz := coalesce(p_to - v_tick, 'infinity');
  -- The watermarks.
  v_closed timestamptz;
  v_written timestamptz;
  v_retired timestamptz;
  -- Buckets that end in (v_lo, v_hi] on v_level, and the part of them that the next level has.
  v_level smallint := 0;
  v_lo timestamptz;
  v_hi timestamptz;
  v_upper_lo timestamptz;
  v_upper_hi timestamptz;
  -- Ranges of buckets.
  v_levels smallint[] := '{}';
  v_los timestamptz[] := '{}';
  v_his timestamptz[] := '{}';
  -- The time that they cover, for late entries and invalidations.
  v_covered_from timestamptz;
  v_covered_last timestamptz;
  -- Ranges of rows.
  v_row_froms timestamptz[] := '{}';
  v_row_lasts timestamptz[] := '{}';
  v_row_from timestamptz;
  v_row_last timestamptz;
BEGIN
  o_consumed := 0;
  o_supplied := 0;
  o_entries := 0;
  -- In a schema that was renamed this function still names the tables of the old name.
  IF p_entries <> to_regclass($name$ {schema}.{entries.name} $name$) THEN
    RAISE undefined_table USING MESSAGE = 'the summary is of another table';
  END IF;
  -- Rollups do not know the policies that hide rows from a role. Paused ones may be wrong.
  SELECT s.closed_before, s.written_until, s.retired_before INTO v_closed, v_written, v_retired
  FROM {schema}.{rollupState.name} s
  WHERE NOT s.paused AND NOT row_security_active(p_entries);
  -- Partitions before this moment are gone, and their buckets too. The rows that are left are few.
  IF v_from < v_retired THEN
    v_row_froms := v_row_froms || v_from;
    v_row_lasts := v_row_lasts || least(v_last, v_retired - v_tick);
    v_from := v_retired;
  END IF;
  IF p_user_id IS NOT NULL THEN
${seriesPart(BY_USER, 'user')}
  ELSIF p_api_key_id IS NOT NULL THEN
${seriesPart(BY_API_KEY, 'apiKey')}
  ELSE
${seriesPart(OF_ALL, 'all')}
  END IF;
END`;
