import pg from 'pg';
import type { Logger } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createReadingDatabase } from './fixtures/ledger-reading.fixture.js';
import type { ReadingDatabase } from './fixtures/ledger-reading.fixture.js';
import { defineLedger } from '../define-ledger.js';
import { tableNames } from '../postgres/table-names.js';

const logged: string[] = [];
const logger = {
  logQuery: (query: string) => logged.push(query),
  logQueryError: (_: unknown, query: string) => logged.push(query),
  logQuerySlow: (_: unknown, query: string) => logged.push(query),
  logSchemaBuild() {},
  logMigration() {},
  log() {},
} as Logger;

let database: ReadingDatabase;

beforeAll(async () => {
  database = await createReadingDatabase(inject('databaseUrl'), { logger, logging: true });
});

afterAll(() => database.drop());

describe('the reads', () => {
  it('reach their rows through the indexes', async () => {
    const usage = defineLedger({
      schema: database.schema,
      table: 'indexed',
      indexes: ['userId', 'apiKeyId'],
    });
    const reader = await database.open(usage);
    const { sqlEntries } = tableNames(usage);
    await database.client.query(
      `INSERT INTO ${sqlEntries} (uuid, user_id, api_key_id, prompt_tokens, completion_tokens,
         direction, created_at)
       SELECT gen_random_uuid(), 1 + n % 500, nullif(n % 1000, 0), 1, 1, 'consume',
         timestamptz '2026-01-01' + n * interval '1 second'
       FROM generate_series(1, 20000) AS n; ANALYZE ${sqlEntries}`,
    );
    const { nextCursor } = await reader.listRecent({ userId: 1, limit: 5 });
    const from = new Date('2026-01-01T01:00:00Z');
    const to = new Date('2026-01-01T02:00:00Z');
    const plans = await plansOf(async () => {
      await reader.listRecent({ userId: 1 });
      await reader.listRecent({ userId: 1, cursor: nextCursor! });
      await reader.summary({ userId: 1, from, to });
      await reader.summary({ apiKeyId: 1, from, to });
    });
    const indexes = plans.map((plan) =>
      /using (\w+)|on (indexed_\w+)/.exec(plan)?.slice(1).join(''),
    );
    const user = 'indexed_user_created';
    expect(indexes.slice(0, 2)).toEqual([user, user]);
    expect(plans[2]).toMatch(/(using|on) indexed_user_created/);
    expect(plans[3]).toMatch(/(using|on) indexed_api_key_created/);
    expect(plans.join()).not.toContain('uuid)::text) DESC');
    // Time is part of the index condition, and not a filter on all of the user's entries.
    expect(plans.slice(1).every((plan) => /Index Cond: .*created_at/.test(plan))).toBe(true);
    expect(plans.join()).not.toContain('Seq Scan on indexed ');
  });

  it("stay out of TypeORM's query log", async () => {
    const usage = defineLedger({ schema: database.schema, table: 'logged' });
    const reader = await database.open(usage);
    logged.length = 0;
    await reader.listRecent({ userId: 1 });
    await reader.summary({ userId: 1 });
    expect(logged).toEqual([]);
    await database.dataSource.query('SELECT 1');
    expect(logged).toEqual(['SELECT 1']);
  });
});

/** The checked part of a statement. */
interface Command {
  readonly sql: string;
  readonly parameters: { readonly value: Buffer }[];
}

/** The plans of the SELECTs that `work` sends, with the same parameters. */
async function plansOf(work: () => Promise<void>): Promise<string[]> {
  const sent: { text: string; values: string[] }[] = [];
  const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
  pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
    const [config] = args;
    const command = (config as { commands?: Command[] }).commands?.at(-1);
    if (command !== undefined) {
      const values = command.parameters.map(({ value }) => value.toString());
      sent.push({ text: command.sql, values });
    }
    return query.apply(this, args);
  } as typeof pg.Client.prototype.query;
  try {
    await work();
  } finally {
    pg.Client.prototype.query = query as typeof pg.Client.prototype.query;
  }
  const plans: string[] = [];
  for (const { text, values } of sent) {
    const { rows } = await database.client.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN ${text}`,
      values,
    );
    plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
  }
  return plans;
}
