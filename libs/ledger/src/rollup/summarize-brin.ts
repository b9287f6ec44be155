import type { LedgerTable } from '../entry/ledger-definition.js';
import { fillTemplate } from '../postgres/fill-template.js';
import type { PgSession } from '../postgres/pg-session.js';
import { rollupValues } from './rollup-layout.js';

/**
 * Milliseconds that summarizing waits for its lock. The server cancels an autovacuum after another
 * session has waited for it for `deadlock_timeout`, by default 1 s.
 */
const LOCK_MS = 50;

/**
 * Summarizes new pages in the BRIN index of `created_at`, or in those of the partitions, newest
 * partition first. It skips indexes of other roles, and those whose lock it would wait for, even
 * behind another waiter: each would be an error, and end the statement. `lock_timeout` covers the
 * time between the check of the locks and the lock; earlier summaries stay. Sources:
 * brin_summarize_range in PostgreSQL's brin.c; table 13.2, conflicts of SHARE UPDATE EXCLUSIVE.
 */
const SUMMARIZE = `
WITH patience AS MATERIALIZED (
  SELECT set_config('lock_timeout', '${LOCK_MS}', true) AS ms
), held AS MATERIALIZED (
  SELECT relation
  FROM pg_catalog.pg_locks
  WHERE locktype = 'relation' AND pid IS DISTINCT FROM pg_backend_pid()
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    AND mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
      'ExclusiveLock', 'AccessExclusiveLock')
), free AS MATERIALIZED (
  SELECT i.indexrelid, i.indrelid
  FROM patience, pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  WHERE ms IS NOT NULL AND c.relkind = 'i' AND pg_has_role(c.relowner, 'USAGE')
    AND i.indexrelid IN (
      SELECT to_regclass({createdBrin.text})
      UNION ALL
      SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = to_regclass({createdBrin.text})
    )
    AND NOT EXISTS (SELECT FROM held WHERE relation IN (i.indexrelid, i.indrelid))
)
SELECT sum(brin_summarize_new_values(indexrelid))::text
FROM (
  SELECT indexrelid
  FROM free
  JOIN pg_catalog.pg_class t ON t.oid = indrelid
  ORDER BY substring(pg_get_expr(t.relpartbound, t.oid) FROM ' TO (.*)') COLLATE "C"
    DESC NULLS LAST
) AS newest`;

/** @throws like the session; earlier summaries stay @internal */
export async function summarizeBrin(
  session: PgSession,
  { definition, schema }: { readonly definition: LedgerTable; readonly schema: string | undefined },
): Promise<void> {
  await session.texts(fillTemplate(SUMMARIZE, rollupValues(definition, schema)));
}
