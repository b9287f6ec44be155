import type { Client } from 'pg';

/**
 * Removes all entries of a table, including one with rollups, which refuses that unless they are
 * paused: they start again.
 *
 * @param table qualified and quoted
 */
export async function emptyEntries(admin: Client, table: string): Promise<void> {
  const own = (ending: string): string => table.replace(/"?$/, (end) => `_${ending}${end}`);
  const { rows } = await admin.query<{ state: string | null }>(
    'SELECT to_regclass($1)::text AS state',
    [own('rollup_state')],
  );
  if (rows[0]?.state == null) return void (await admin.query(`TRUNCATE ${table}`));
  await admin.query(`UPDATE ${own('rollup_state')} SET paused = true`);
  await admin.query(`TRUNCATE ${table}`);
  await admin.query(`TRUNCATE ${own('rollups')}, ${own('rollup_marks')};
    UPDATE ${own('rollup_state')} SET closed_before = '-infinity', written_until = '-infinity',
      rests_until = '-infinity', paused = false`);
}
