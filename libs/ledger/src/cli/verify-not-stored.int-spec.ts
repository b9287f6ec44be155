import { randomUUID } from 'node:crypto';
import { Test } from '@nestjs/testing';
import { Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it } from 'vitest';
import { defineLedger, getLedgerToken, LedgerModule, type LedgerService } from '../index.js';
import { readMetrics } from '../metrics/fixtures/metered.fixture.js';
import { registerLedgerMetrics } from '../metrics/prometheus/index.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { definitionOptions } from './fixtures/definition-options.fixture.js';
import { runProgram } from './program.js';

const url = inject('databaseUrl');
let admin: DataSource;
let schema: string;
let said: string[];

beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
});
beforeEach(() => {
  schema = `not_stored_${randomUUID().slice(0, 8)}`;
  said = [];
});
afterEach(() => admin.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`));
afterAll(() => admin.destroy());

it.each([
  [
    'a trigger that drops rows',
    (table: string) => `CREATE FUNCTION ${schema}.drop_odd() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN IF NEW.user_id % 2 = 1 THEN RETURN NULL; END IF; RETURN NEW; END$$;
      CREATE TRIGGER drop_odd BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${schema}.drop_odd()`,
    'copy' as const,
  ],
  [
    'a rule that drops rows',
    (table: string) =>
      `CREATE RULE drop_odd AS ON INSERT TO ${table} WHERE NEW.user_id % 2 = 1 DO INSTEAD NOTHING`,
    'insert' as const,
  ],
])('verify misses what %s took away', async (_, harmOf, strategy) => {
  const usage = defineLedger({ schema });
  const module = await Test.createTestingModule({
    imports: [
      LedgerModule.forRoot({ ledger: usage, connection: { url }, connectAtBoot: true, strategy }),
    ],
  }).compile();
  module.useLogger(false);
  await module.init();
  await admin.query(harmOf(`${schema}.usage_entries`));
  const ledger = module.get<LedgerService<typeof usage>>(getLedgerToken(usage));
  for (const userId of [1, 2, 3, 4]) ledger.record({ userId });
  await ledger.flush();
  expect(ledger.stats()).toMatchObject({ written: 4, notStored: 2 });
  const registry = new Registry();
  registerLedgerMetrics(registry, ledger);
  const metrics = await readMetrics(registry);
  expect(metrics.get('ledger_not_stored_total{ledger="default"}')).toBe(2);
  await module.close();
  const output = outputTo((text) => void said.push(text));
  const own = ['--database-url', url, ...definitionOptions(usage)];
  expect(await runProgram(['verify', '--grace', '0', ...own], output)).toBe(1);
  expect(said.join('\n')).toMatch(/in the table 2, .*missing 2: 0, 2/);
});
