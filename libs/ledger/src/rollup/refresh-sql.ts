// The statements of one refresh, in execution order. `{closed}`, `{written}` and `{retired}` are
// the watermarks before it, `{before}` and `{until}` those after it. All times are parameters.
// Values of the templates: rollup-layout.ts.

/**
 * Temporary tables of a refresh. CREATE TABLE AS takes no parameters, so it only defines the
 * columns.
 */
export const CREATE_TEMPORARY: readonly string[] = [
  // Entries created since the watermark.
  `CREATE TEMPORARY TABLE ledger_rollup_fresh ON COMMIT DROP AS
SELECT created_at AS at, {dims}, 0::bigint AS consumed, 0::bigint AS supplied, 0::bigint AS entries
FROM {entries}
WHERE false`,
  // Differences below the watermark.
  `CREATE TEMPORARY TABLE ledger_rollup_changes ON COMMIT DROP AS
SELECT created_at AS at, {dims}, 0::numeric AS consumed, 0::numeric AS supplied, 0::numeric AS entries
FROM {entries}
WHERE false`,
  // Keys that got a closed bucket.
  `CREATE TEMPORARY TABLE ledger_rollup_grown ON COMMIT DROP AS
SELECT 0::smallint AS series, user_id AS key
FROM {entries}
WHERE false`,
  // Buckets with many times the entries that they should have.
  `CREATE TEMPORARY TABLE ledger_rollup_overfull ON COMMIT DROP AS
SELECT 0::smallint AS series, user_id AS key, created_at AS lo, created_at AS hi
FROM {entries}
WHERE false`,
];

/**
 * Checks whether there is anything to do, at far lower cost than the temporary tables. Only bitmap
 * scans are allowed, because for one row the planner would prefer to read a whole table or index.
 */
export const HAS_ANYTHING = `
SELECT (EXISTS (
    SELECT FROM {entries}
    WHERE created_at >= {closed} AND created_at < {before} AND written_at <= {until}
  ) OR EXISTS (
    SELECT FROM {entries}
    WHERE {isLate} AND written_at > {written} AND written_at <= {until} AND created_at < {closed}
  ) OR EXISTS (SELECT FROM {rollupMarks}))::text`;

/**
 * Drops invalidations of entries outside the buckets, because summaries take those from the rows.
 * Triggers of an earlier version wrote them, or a partition was retired since.
 */
export const DROP_VOID_INVALIDATIONS = `
DELETE FROM {rollupMarks}
WHERE NOT (created_at < {closed} AND created_at >= {retired} AND written_at <= {written})`;

/** Records late entries as invalidations, which summaries count from then on. */
export const NOTE_LATE_ENTRIES = `
INSERT INTO {rollupMarks} (created_at, written_at, {dims}, consumed, supplied, entries)
SELECT created_at, written_at, {dims}, {measures}, 1
FROM {entries}
WHERE {isLate} AND written_at > {written} AND written_at <= {until}
  AND created_at < {closed} AND created_at >= {retired}`;

/** Takes a limited number of invalidations. The next refresh takes the rest. */
export const TAKE_INVALIDATIONS = `
WITH taken AS (
  DELETE FROM {rollupMarks} WHERE ctid IN (SELECT ctid FROM {rollupMarks} LIMIT {maxChanges})
  RETURNING created_at, {dims}, consumed, supplied, entries
)
INSERT INTO pg_temp.ledger_rollup_changes
SELECT created_at, {dims}, sum(consumed), sum(supplied), sum(entries)
FROM taken
GROUP BY created_at, {dims}`;

/** Takes the entries created since the watermark one by one. */
export const TAKE_ENTRIES = `
INSERT INTO pg_temp.ledger_rollup_fresh
SELECT created_at, {dims}, {measures}, 1
FROM {entries}
WHERE created_at >= {closed} AND created_at < {before} AND written_at <= {until}`;

/**
 * The same as sums of short slices of time: less work for many entries in few minutes. All sums of
 * a slice have its beginning as their time, so a bucket may begin there.
 */
// Like date_bin, which needs PostgreSQL 14. Doubles are exact for so few microseconds.
export const TAKE_SLICES = `
INSERT INTO pg_temp.ledger_rollup_fresh
SELECT {closed} + slice * {sliceMicros} * interval '1 microsecond', {dims}, consumed, supplied, entries
FROM (
  SELECT floor(round(date_part('epoch', created_at - {closed}) * 1000000) / {sliceMicros}) AS slice,
    {dims}, sum(consumed) AS consumed, sum(supplied) AS supplied, count(*) AS entries
  FROM (
    SELECT created_at, {dims}, {measures}
    FROM {entries}
    WHERE created_at >= {closed} AND created_at < {before} AND written_at <= {until}
  ) AS e
  GROUP BY 1, {dims}
) AS s`;

/** Counts of taken entries and differences, and whether invalidations are left. */
export const COUNT_TAKEN = `
SELECT (SELECT coalesce(sum(entries), 0) FROM pg_temp.ledger_rollup_fresh)::text,
  (SELECT count(*) FROM pg_temp.ledger_rollup_changes)::text,
  (EXISTS (SELECT FROM {rollupMarks}))::text`;

/**
 * Adds the differences to the buckets of one series and level that contain their times. A new key
 * gets its first bucket on the lowest level (`{join}`: LEFT JOIN); higher ones are made only from
 * lower ones.
 */
export const APPLY_CHANGES = `
WITH hit AS MATERIALIZED (
  SELECT k.*, coalesce(b.lo, '-infinity') AS lo, coalesce(b.hi, 'infinity') AS hi
  FROM (
    SELECT {key} AS key, at, {seriesDims}, consumed, supplied, entries
    FROM pg_temp.ledger_rollup_changes
    WHERE {hasKey}
  ) AS k
  {join} LATERAL (
    SELECT r.lo, r.hi
    FROM {rollups} r
    WHERE r.series = {series} AND r.level = {level} AND {isKey} AND r.hi > k.at
    ORDER BY r.series, r.level, r.key, r.hi
    LIMIT 1
  ) AS b ON true
), old AS (
  DELETE FROM {rollups} r
  USING (SELECT DISTINCT key, hi FROM hit) AS k
  WHERE r.series = {series} AND r.level = {level} AND {isKey} AND r.hi = k.hi
  RETURNING r.*
)
INSERT INTO {rollups} (series, level, key, lo, hi, {seriesDims}, consumed, supplied, entries)
SELECT {series}, {level}, key, lo, hi, {seriesDims}, sum(consumed), sum(supplied), sum(entries)
FROM (
  SELECT key, lo, hi, {seriesDims}, consumed, supplied, entries FROM hit
  UNION ALL
  SELECT key, lo, hi, {seriesDims}, consumed, supplied, entries FROM old
) AS b
GROUP BY key, lo, hi, {seriesDims}`;

/**
 * Numbers the pieces of each bucket (key, low, high) by time and begins a new bucket after each
 * {bucketEntries} entries. Entries of the same time stay together. The first of the new buckets
 * begins where the old one did (`{isFirst}`), the others at their own first entry.
 */
const CUT_PIECES = `
counted AS (
  SELECT *, coalesce(sum(n) OVER (PARTITION BY key, low, high ORDER BY at
    GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) / {bucketEntries} AS block
  FROM pieces
), grouped AS (
  SELECT key, low, high, block, min(at) AS at, {seriesDims},
    sum(consumed) AS consumed, sum(supplied) AS supplied, sum(entries) AS entries
  FROM counted
  GROUP BY key, low, high, block, {seriesDims}
), bounded AS (
  SELECT *, min(at) OVER (PARTITION BY key, low, high, block) AS start,
    min(at) OVER (PARTITION BY key, low, high ORDER BY block
      GROUPS BETWEEN 1 FOLLOWING AND 1 FOLLOWING) AS next
  FROM grouped
), made AS (
  INSERT INTO {rollups} (series, level, key, lo, hi, {seriesDims}, consumed, supplied, entries)
  SELECT {series}, 0, key, CASE WHEN {isFirst} THEN low ELSE start END, coalesce(next, high),
    {seriesDims}, consumed, supplied, entries
  FROM bounded
  RETURNING key, hi
)
INSERT INTO pg_temp.ledger_rollup_grown
SELECT DISTINCT {series}::smallint, key FROM made WHERE hi < 'infinity'`;

/**
 * Adds the entries to the open bucket of their key, and cuts it if it is full. Leftovers of an
 * earlier version may temporarily give a bucket a negative number of entries.
 */
export const ADD_ENTRIES = `
WITH fresh AS (
  SELECT {key} AS key, at, {seriesDims}, consumed, supplied, entries
  FROM pg_temp.ledger_rollup_fresh
  WHERE {hasKey}
), old AS (
  DELETE FROM {rollups} r
  USING (SELECT DISTINCT key FROM fresh) AS k
  WHERE r.series = {series} AND r.level = 0 AND {isKey} AND r.hi = 'infinity'
  RETURNING r.*
), pieces AS (
  SELECT key, at, '-infinity'::timestamptz AS low, 'infinity'::timestamptz AS high, {seriesDims},
    consumed, supplied, entries, entries::integer AS n
  FROM fresh
  UNION ALL
  SELECT key, lo, '-infinity', 'infinity', {seriesDims},
    consumed::bigint, supplied::bigint, entries::bigint,
    greatest(0, least(entries, {bucketEntries}))::integer
  FROM old
), ${CUT_PIECES.trimStart().replace('{isFirst}', 'block = 0 AND start >= {closed}')}`;

/** Records the buckets that late entries have filled many times over. */
export const FIND_OVERFULL = `
INSERT INTO pg_temp.ledger_rollup_overfull
SELECT {series}, b.key, b.lo, b.hi
FROM (
  SELECT DISTINCT {key} AS key, at FROM pg_temp.ledger_rollup_changes WHERE {hasKey}
) AS k
CROSS JOIN LATERAL (
  SELECT r.hi
  FROM {rollups} r
  WHERE r.series = {series} AND r.level = 0 AND {isKey} AND r.hi > k.at
  ORDER BY r.series, r.level, r.key, r.hi
  LIMIT 1
) AS found
CROSS JOIN LATERAL (
  SELECT r.key, r.lo, r.hi, sum(r.entries) AS entries
  FROM {rollups} r
  WHERE r.series = {series} AND r.level = 0 AND {isKey} AND r.hi = found.hi
  GROUP BY r.key, r.lo, r.hi
) AS b
WHERE b.entries > {overfullEntries}
GROUP BY b.key, b.lo, b.hi`;

/**
 * Makes these buckets again from the rows. The rows include invalidations left for the next
 * refresh, so these are subtracted. A bucket whose rows left with their partition stays as an empty
 * one, because a series has no gaps.
 */
export const RECUT_OVERFULL = `
WITH wanted AS (
  SELECT key, lo, hi FROM pg_temp.ledger_rollup_overfull WHERE series = {series}
), old AS (
  DELETE FROM {rollups} r
  USING wanted AS k
  WHERE r.series = {series} AND r.level = 0 AND {isKey} AND r.hi = k.hi
), pieces AS (
  SELECT k.key, e.created_at AS at, k.lo AS low, k.hi AS high, {seriesDims},
    {measures}, 1::bigint AS entries, 1 AS n
  FROM wanted AS k
  JOIN {entries} e ON {isOwn} AND e.created_at >= k.lo AND e.created_at < least(k.hi, {before})
  WHERE e.written_at <= {until}
  UNION ALL
  SELECT k.key, e.created_at, k.lo, k.hi, {seriesDims}, -e.consumed, -e.supplied, -e.entries, 0
  FROM wanted AS k
  JOIN {rollupMarks} e ON {isOwn} AND e.created_at >= k.lo AND e.created_at < least(k.hi, {before})
  UNION ALL
  SELECT k.key, k.lo, k.lo, k.hi, {noDims}, 0, 0, 0, 0
  FROM wanted AS k
), ${CUT_PIECES.trimStart().replace('{isFirst}', 'block = 0')}`;

/** Makes each bucket of a level from {fanOut} closed ones of the level below. */
export const MAKE_LEVEL = `
WITH below AS (
  SELECT k.key, b.lo, b.hi,
    (row_number() OVER (PARTITION BY k.key ORDER BY b.hi) - 1) / {fanOut} AS part
  FROM (SELECT DISTINCT key FROM pg_temp.ledger_rollup_grown WHERE series = {series}) AS k
  CROSS JOIN LATERAL (
    SELECT DISTINCT r.lo, r.hi
    FROM {rollups} r
    WHERE r.series = {series} AND r.level = {level} - 1 AND {isKey} AND r.hi < 'infinity'
      AND r.hi > coalesce((
        SELECT r.hi
        FROM {rollups} r
        WHERE r.series = {series} AND r.level = {level} AND {isKey}
        ORDER BY r.series DESC, r.level DESC, r.key DESC, r.hi DESC
        LIMIT 1
      ), '-infinity')
  ) AS b
), whole AS (
  SELECT key, min(lo) AS lo, max(hi) AS hi
  FROM below
  GROUP BY key, part
  HAVING count(*) = {fanOut}
)
INSERT INTO {rollups} (series, level, key, lo, hi, {seriesDims}, consumed, supplied, entries)
SELECT {series}, {level}, k.key, k.lo, k.hi, {seriesDims}, sum(consumed), sum(supplied), sum(entries)
FROM whole AS k
CROSS JOIN LATERAL (
  SELECT {seriesDims}, consumed, supplied, entries
  FROM {rollups} r
  WHERE r.series = {series} AND r.level = {level} - 1 AND {isKey} AND r.hi > k.lo AND r.hi <= k.hi
) AS b
GROUP BY k.key, k.lo, k.hi, {seriesDims}`;
