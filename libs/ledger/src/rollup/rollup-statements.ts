import type { PgSession } from '../postgres/pg-session.js';
import type { TextRow } from '../postgres/pg-statement.js';
import { bindSql } from './rollup-layout.js';
import type { TemplateValues } from './rollup-layout.js';

/** All scans of a table except bitmap scans. @internal */
export const PLAIN_SCANS = ['seqscan', 'indexscan', 'indexonlyscan'] as const;
type PlanNode = (typeof PLAIN_SCANS)[number] | 'sort' | 'incremental_sort';
/** Sorting the entries of a large step on disk takes twice as long. */
const WORK_MEM = '64MB';

/** One snapshot for all reads. Settings apply to the transaction. @internal */
export async function inTransaction<T>(
  session: PgSession,
  limitMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const timeoutMs = Math.max(1, Math.floor(limitMs * 0.9));
  return session.transaction(work, {
    isolation: 'REPEATABLE READ',
    timeoutMs,
    lockTimeoutMs: Math.min(timeoutMs, 1_000),
    settings: {
      idle_in_transaction_session_timeout: String(timeoutMs),
      synchronous_commit: 'on',
      work_mem: `'${WORK_MEM}'`,
      jit: 'off',
    },
  });
}

/** Runs the templates of one ledger's rollups. @internal */
export class RollupStatements {
  constructor(
    private readonly session: PgSession,
    private readonly values: TemplateValues,
  ) {}

  /**
   * @param moments parameters @param more values of this statement only @throws like the session
   */
  rows(
    template: string,
    moments: TemplateValues = {},
    more: TemplateValues = {},
  ): Promise<TextRow[]> {
    const { sql, parameters } = bindSql(template, { ...this.values, ...more }, moments);
    return this.session.texts(sql, parameters);
  }

  /** Runs `work` while the planner avoids these plan nodes if possible. */
  async without<T>(ways: readonly PlanNode[], work: () => Promise<T>): Promise<T> {
    const names = ways.map((way) => `enable_${way}`);
    const off = names.map(
      (name) => `current_setting('${name}'), set_config('${name}', 'off', true)`,
    );
    const [row] = await this.session.texts(`SELECT ${off.join(', ')}`);
    const result = await work();
    const back = names.map((name, index) => `set_config('${name}', $${index + 1}, true)`);
    const values = names.map((_, index) => row?.[index * 2] ?? 'on');
    await this.session.texts(`SELECT ${back.join(', ')}`, values);
    return result;
  }
}
