import type { WriteStrategy } from '../ports/ledger-settings.interface.js';
import { readdir, readFile } from 'node:fs/promises';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { OwnSchema } from '../postgres/fixtures/own-schema.fixture.js';
import { defineLedger, type LedgerDefinition } from '../define-ledger.js';
import { LedgerModule } from '../ledger.module.js';
import type { LedgerService } from '../ledger.service.js';
import { getLedgerToken } from '../ledger.tokens.js';
import { runMigrations, verifyTable } from './fixtures/wired-migrations.fixture.js';

const FIXTURES = new URL('fixtures/', import.meta.url);
const SNAPSHOTS = (await readdir(FIXTURES)).filter((name) => name.endsWith('.sql'));

/** The snapshots' definition, and the same with later declarations. */
const older = defineLedger({ columns: { model: 'text' } });
const newer = defineLedger({ columns: { model: 'text', tenantId: 'uuid', costNanos: 'bigint' } });

let schema: OwnSchema;

beforeEach(async () => {
  schema = await OwnSchema.create(inject('databaseUrl'));
});
afterEach(() => schema.drop());

function migrateTo(definition: LedgerDefinition): Promise<string[]> {
  return runMigrations({ type: 'postgres', url: schema.url }, definition);
}

/** Writes one entry and reads it back, with a role that changes no table. */
async function writeAs(definition: typeof older, strategy: WriteStrategy = 'copy'): Promise<void> {
  const options = { connection: { url: schema.url }, migrations: 'verify', strategy } as const;
  const module = await Test.createTestingModule({
    imports: [LedgerModule.forRoot({ ledger: definition, connectAtBoot: true, ...options })],
  }).compile();
  await module.init();
  try {
    const token = getLedgerToken(definition);
    const ledger = module.get<LedgerService<typeof older>>(token, { strict: false });
    await ledger.recordAndWait({ userId: 7, model: strategy, promptTokens: 3 });
    const { entries } = await ledger.listRecent({ userId: 7, limit: 1 });
    expect(entries).toMatchObject([{ model: strategy, promptTokens: 3 }]);
  } finally {
    await module.close();
  }
}

describe('the writer of the previous state', () => {
  it.each(['copy', 'insert'] as const)('writes into the newest tables, by %s', async (strategy) => {
    await migrateTo(newer);
    await writeAs(older, strategy);
    const rows = await schema.query('SELECT model, tenant_id, cost_nanos FROM usage_entries');
    expect(rows).toEqual([{ model: strategy, tenant_id: null, cost_nanos: null }]);
  });
});

describe.each(SNAPSHOTS)('tables in the state of %s', (name) => {
  beforeEach(async () => {
    await schema.query(await readFile(new URL(name, FIXTURES), 'utf8'));
    await schema.query(`INSERT INTO usage_entries
      (uuid, user_id, prompt_tokens, completion_tokens, direction, model, created_at)
      VALUES (gen_random_uuid(), 7, 40, 2, 'consume', 'old', '2026-01-01')`);
  });

  it('are written to by the newest writer without a change', async () => {
    await writeAs(older);
    expect(await schema.query('SELECT model FROM usage_entries')).toHaveLength(2);
  });

  it('are upgraded, keep their rows, and still work with the previous writer', async () => {
    await migrateTo(newer);
    const query = (sql: string, values: unknown[]): Promise<unknown> => schema.query(sql, values);
    expect(await verifyTable(query, newer)).toEqual([]);
    expect(await migrateTo(newer)).toEqual([]);
    await writeAs(older);
    const rows = await schema.query('SELECT * FROM usage_entries ORDER BY created_at');
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({ model: 'old', prompt_tokens: 40, tenant_id: null });
  });
});

it('has a snapshot to start from', () => {
  expect(SNAPSHOTS).toContain('schema-0.1.0.sql');
});
