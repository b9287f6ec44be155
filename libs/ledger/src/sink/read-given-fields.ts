import { Deadline } from '../clock/deadline.js';
import { encodeField } from '../codec/convert-field.js';
import { columnsOf } from '../entry/columns.js';
import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import type { PgConnections } from '../postgres/pg-connections.js';
import { tableNames } from '../postgres/table-names.js';

/** Milliseconds for the query, including its connection. */
const ASK_MS = 10_000;
/** A role may have another `DateStyle`, with days and months swapped. */
const ISO = /^\d{4}-\d{2}-\d{2} /;

/**
 * The values that `ADD COLUMN … DEFAULT` gave to existing rows. PostgreSQL stores them with the
 * column instead of rewriting all rows (`attmissingval`), and removes them when it rewrites the
 * table. A partitioned table has them at its partitions.
 */
const GIVEN = `
SELECT DISTINCT ON (a.attname) a.attname AS column, (a.attmissingval::text::text[])[1] AS value
FROM pg_catalog.pg_attribute a
WHERE a.atthasmissing AND NOT a.attisdropped AND (
  a.attrelid = pg_catalog.to_regclass($1)
  OR a.attrelid IN (
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = pg_catalog.to_regclass($1)
  )
)
ORDER BY a.attname, a.attrelid`;

/**
 * Fields by column, in COPY's format, that existing rows got when a column was added with a
 * default.
 *
 * @throws the error of pg if the query fails
 * @internal
 */
export async function readGivenFields(
  connections: PgConnections,
  table: LedgerTable,
): Promise<ReadonlyMap<string, Buffer>> {
  const declared = columnsOf(table).filter(({ isDeclared }) => isDeclared);
  if (declared.length === 0) return new Map();
  return connections.use(new Deadline(ASK_MS), async (session) => {
    const { sqlEntries } = tableNames(table, session.schema);
    const found = await session.rows<{ column: string; value: string | null }>(GIVEN, [sqlEntries]);
    const given = new Map<string, Buffer>();
    for (const { column, type } of declared) {
      const value = found.find((each) => each.column === column)?.value;
      const field = typeof value === 'string' ? fieldOf(type, value) : undefined;
      if (field !== undefined) given.set(column, field);
    }
    return given;
  });
}

/** @param text the value as printed by PostgreSQL */
function fieldOf(type: ColumnType, text: string): Buffer | undefined {
  if (type === 'integer') return encodeField(type, Number(text));
  if (type === 'boolean') return encodeField(type, text === 't');
  if (type === 'timestamptz') return ISO.test(text) ? encodeField(type, new Date(text)) : undefined;
  if (type === 'jsonb') return encodeField(type, JSON.parse(text));
  return encodeField(type, text);
}
