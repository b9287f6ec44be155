import { Test } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { outputTo } from '../cli/fixtures/command-output.fixture.js';
import { definitionOptions } from '../cli/fixtures/definition-options.fixture.js';
import { runProgram } from '../cli/program.js';
import type { LedgerDefinition } from '../define-ledger.js';
import { LedgerModule } from '../ledger.module.js';
import type { LedgerService } from '../ledger.service.js';
import { getLedgerToken } from '../ledger.tokens.js';
import {
  INSTALLED,
  INSTALLED_LEDGERS,
  restoreInstalled,
  type InstalledDatabase,
} from './fixtures/installed-database.fixture.js';
import { runMigrations, verifyTable } from './fixtures/wired-migrations.fixture.js';

// A database of the package at commit a08dbc3: 52,974 entries in three ledgers.

let installed: InstalledDatabase;
let before: Record<string, unknown>;
beforeAll(async () => {
  installed = await restoreInstalled(inject('databaseUrl'));
  before = await figuresOf(installed);
}, 120_000);
afterAll(() => installed.drop());

/** Figures of the rows: sums of each kind, and a digest of every row and dead letter. */
async function figuresOf({ client }: InstalledDatabase): Promise<Record<string, unknown>> {
  const figures: Record<string, unknown> = {};
  for (const { schema } of INSTALLED_LEDGERS) {
    const { rows } = await client.query(`SELECT
      (SELECT json_agg(x) FROM (
        SELECT date_trunc('month', created_at AT TIME ZONE 'UTC')::text, direction, count(*),
          sum(prompt_tokens::bigint + completion_tokens)
        FROM ${schema}.usage_entries GROUP BY 1, 2 ORDER BY 1, 2) x) AS months,
      (SELECT md5(string_agg(e::text, '|' ORDER BY uuid)) FROM ${schema}.usage_entries e) AS entries,
      (SELECT md5(string_agg(d::text, '|' ORDER BY id)) FROM ${schema}.usage_entries_dead_letters d)
        AS letters`);
    figures[schema!] = rows[0];
  }
  return figures;
}

interface Sums {
  readonly consumedTokens: number;
  readonly suppliedTokens: number;
  readonly entries: number;
}

const MARCH = { from: new Date('2026-03-01T00:00:00Z'), to: new Date('2026-04-01T00:00:00Z') };
const LATE_JANUARY = { from: new Date('2026-01-20T10:20:30Z') };

/** Periods and filters that rollups answer with whole buckets and with the rows at their ends. */
const QUERIES = [
  {},
  { userId: 7 },
  { apiKeyId: 11 },
  { userId: 7, serviceId: 3 },
  { userId: 41 },
  MARCH,
  { userId: 20, ...MARCH },
  { apiKeyId: 11, ...LATE_JANUARY },
];

/** The answer of the function used for reads by the previous version. */
async function previousSummary(
  { client }: InstalledDatabase,
  { schema }: LedgerDefinition,
  query: (typeof QUERIES)[number],
): Promise<Sums> {
  const names: Record<string, string> = {
    userId: 'p_user_id',
    apiKeyId: 'p_api_key_id',
    serviceId: 'p_service_id',
    from: 'p_from',
    to: 'p_to',
  };
  const given = Object.entries(query);
  const places = given.map(([field], index) => `, ${names[field]} => $${index + 1}`);
  const { rows } = await client.query(
    `SELECT o_consumed AS consumed, o_supplied AS supplied, o_entries AS entries
     FROM ${schema}.usage_entries_rollup_summary('${schema}.usage_entries'${places.join('')})`,
    given.map(([, value]) => value),
  );
  const [{ consumed, supplied, entries }] = rows as [Record<string, string>];
  return {
    consumedTokens: Number(consumed),
    suppliedTokens: Number(supplied),
    entries: Number(entries),
  };
}

async function byOwnRunner({ url }: InstalledDatabase): Promise<string[]> {
  const ran: string[] = [];
  for (const definition of INSTALLED_LEDGERS) {
    ran.push(...(await runMigrations({ type: 'postgres', url }, definition)));
  }
  return ran;
}

async function byTypeOrm({ url }: InstalledDatabase): Promise<string[]> {
  const migrations = INSTALLED_LEDGERS.flatMap((definition) => definition.migrations);
  const dataSource = await new DataSource({ type: 'postgres', url, migrations }).initialize();
  try {
    return (await dataSource.runMigrations()).map(({ name }) => name);
  } finally {
    await dataSource.destroy();
  }
}

/** In an application migrated by TypeORM, the names are recorded in TypeORM's table. */
async function byTypeOrmAsBefore(database: InstalledDatabase): Promise<string[]> {
  await database.client.query(`CREATE TABLE migrations AS
    ${INSTALLED_LEDGERS.map(
      ({ schema }) => `SELECT id, "timestamp", name FROM ${schema}.usage_entries_migrations`,
    ).join(' UNION ALL ')};
    CREATE SEQUENCE migrations_id START 1000;
    ALTER TABLE migrations ALTER id SET DEFAULT nextval('migrations_id')`);
  return byTypeOrm(database);
}

describe.each([
  ['the runner of the package', byOwnRunner],
  ["TypeORM's runner, on a database that it migrated before", byTypeOrmAsBefore],
  ["TypeORM's runner, on a database that it does not know", byTypeOrm],
])('a database of the previous version, upgraded by %s', (_, upgrade) => {
  let database: InstalledDatabase;
  let ran: string[];
  beforeAll(async () => {
    database = await installed.copy();
    ran = await upgrade(database);
  }, 120_000);
  afterAll(() => database.drop());

  it('runs the new migrations', () => {
    expect(ran).toContain('fixed.usage_entries:refuse_changes:1767225600005');
    if (upgrade !== byTypeOrm) expect(ran.join()).not.toContain('create_entries');
  });

  it('keeps all rows and dead letters unchanged', async () => {
    expect(await figuresOf(database)).toEqual(before);
  });

  it.each(INSTALLED_LEDGERS)('matches the definition of $name', async (definition) => {
    const query = async (sql: string, values: unknown[]): Promise<unknown> =>
      (await database.client.query(sql, values)).rows;
    expect(await verifyTable(query, definition)).toEqual([]);
  });

  it.each(INSTALLED_LEDGERS)('counts every entry of $name', async (definition) => {
    const lines: string[] = [];
    const output = outputTo((line) => void lines.push(line));
    const at = ['--database-url', database.url, ...definitionOptions(definition)];
    expect(await runProgram(['verify', '--json', ...at], output)).toBe(0);
    const { runs } = JSON.parse(lines.join('\n')) as { runs: { missing: number }[] };
    expect(runs.length).toBeGreaterThan(0);
    expect(runs.map(({ missing }) => missing)).toEqual(runs.map(() => 0));
  });

  it('returns the same sums as before', async () => {
    const module = await Test.createTestingModule({
      imports: INSTALLED_LEDGERS.map((ledger) =>
        LedgerModule.forRoot({
          ledger,
          connection: { url: database.url },
          migrations: 'verify',
          connectAtBoot: true,
        }),
      ),
    }).compile();
    await module.init();
    const ledgerOf = (definition: LedgerDefinition): LedgerService<LedgerDefinition> =>
      module.get(getLedgerToken(definition), { strict: false });
    try {
      for (const definition of [INSTALLED.plain, INSTALLED.parts] as LedgerDefinition[]) {
        for (const query of QUERIES) {
          const found = await ledgerOf(definition).summary(query);
          expect(found, JSON.stringify(query)).toMatchObject(
            await previousSummary(installed, definition, query),
          );
        }
      }
      for (const definition of INSTALLED_LEDGERS) {
        const rows: unknown[] = [];
        const year = { from: '2025-01-01', to: '2027-01-01' };
        const report = ledgerOf(definition).report({ ...year, groupBy: ['month', 'direction'] });
        for await (const { month, direction, entries, netTokens } of report) {
          const sum = Math.abs(netTokens);
          rows.push({
            date_trunc: `${String(month).slice(0, 7)}-01 00:00:00`,
            direction,
            count: entries,
            sum,
          });
        }
        const { months } = before[definition.schema!] as { months: unknown[] };
        expect(rows).toEqual(months);
      }
    } finally {
      await module.close();
    }
  });
});
