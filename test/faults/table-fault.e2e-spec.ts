import { Logger, type INestApplicationContext } from '@nestjs/common';
import type { LedgerOptions, LedgerService } from 'nestjs-ledger';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { FaultDatabase } from './support/fault-database.js';
import { startLedgerModule } from './support/ledger-module.js';

const WAIT = { timeout: 15_000, interval: 20 };
/** Batches of one row are many, and the machine may do other things; below the limit of a test. */
const FLUSH_MS = 90_000;
const RETRY_MAX_MS = 500;
const T = 'live.usage_entries';

let database: FaultDatabase;
let app: INestApplicationContext | undefined;
let lines: string[] = [];

beforeAll(async () => {
  database = await FaultDatabase.start();
});
afterAll(() => database?.dispose());
afterEach(async () => {
  await app?.close();
  app = undefined;
  Logger.overrideLogger(false);
  await database.sql('DROP SCHEMA IF EXISTS live CASCADE');
});

async function startLedger(options: LedgerOptions): Promise<LedgerService> {
  lines = [];
  const write = (line: string): void => void lines.push(line);
  Logger.overrideLogger({ log: write, warn: write, error: write });
  const started = await startLedgerModule(
    'live',
    {
      ...{
        connection: { url: database.url },
        flushMs: 5,
        retryMinMs: 20,
        retryMaxMs: RETRY_MAX_MS,
      },
      ...{ shutdownTimeoutMs: 1000, ...options },
    },
    false,
  );
  app = started.app;
  return started.ledger;
}

/** Records ten entries every 5 ms. @returns a function that ends it */
function load(ledger: LedgerService): () => void {
  let i = 0;
  const timer = setInterval(() => {
    for (let n = 0; n < 10; n++) ledger.record({ userId: (++i % 50) + 1, promptTokens: 1 });
  }, 5);
  return () => clearInterval(timer);
}

const FAULTS = [
  {
    fault: 'a NOT NULL column',
    breaks: `ALTER TABLE ${T} ADD COLUMN region text NOT NULL DEFAULT '';
      ALTER TABLE ${T} ALTER COLUMN region DROP DEFAULT`,
    mends: `ALTER TABLE ${T} DROP COLUMN region`,
  },
  {
    fault: 'a CHECK that no entry passes',
    breaks: `ALTER TABLE ${T} ADD CONSTRAINT mine CHECK (user_id > 100) NOT VALID`,
    mends: `ALTER TABLE ${T} DROP CONSTRAINT mine`,
  },
  {
    fault: 'a trigger that raises whatever comes',
    breaks: `CREATE FUNCTION live.refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'closed'; END $$;
      CREATE TRIGGER mine BEFORE INSERT ON ${T} FOR EACH ROW EXECUTE FUNCTION live.refuse()`,
    mends: `DROP TRIGGER mine ON ${T}`,
  },
];
const SIZES = [
  { numWorkers: 2, batchSize: 100 },
  { numWorkers: 8, batchSize: 100 },
  { numWorkers: 2, batchSize: 1 },
];

describe('a fault of the table that comes and goes under load', () => {
  it.each(FAULTS.flatMap((fault) => SIZES.map((size) => ({ ...fault, ...size }))))(
    '$fault, $numWorkers workers, batches of $batchSize: halted once, and no good row is set aside',
    async ({ breaks, mends, numWorkers, batchSize }) => {
      const ledger = await startLedger({ numWorkers, batchSize });
      const stop = load(ledger);
      await vi.waitFor(() => expect(ledger.stats().written).toBeGreaterThan(100), WAIT);
      await database.sql(breaks);
      await vi.waitFor(() => expect(ledger.stats().state).toBe('halted'), WAIT);
      const before = ledger.stats().retries;
      const began = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 6 * RETRY_MAX_MS));
      const pauses = (performance.now() - began) / RETRY_MAX_MS;
      const { state, retries } = ledger.stats();
      expect(state).toBe('halted');
      // Attempts that were under way when the first halted the ledger come on top.
      expect(retries - before).toBeLessThanOrEqual(Math.ceil(pauses) + numWorkers);
      expect(lines.filter((line) => /^halted|^writing/.test(line))).toHaveLength(1);
      await database.sql(mends);
      stop();
      await ledger.flush({ timeoutMs: FLUSH_MS });
      const stats = ledger.stats();
      assertConservation(stats);
      expect(stats).toMatchObject({ state: 'running', deadLettered: 0, written: stats.queued });
      expect(lines.filter((line) => /^halted|^writing/.test(line))).toHaveLength(2);
      const [row] = await database.sql<{ n: number }>(`SELECT count(*)::int AS n FROM ${T}`);
      expect(row!.n).toBe(stats.queued);
    },
  );
});

describe('rows of one tenant that a policy refuses', () => {
  it.each(SIZES)(
    'are set aside, and all others written: $numWorkers workers, batches of $batchSize',
    async ({ numWorkers, batchSize }) => {
      const owner = await startLedger({});
      await owner.flush();
      await app!.close();
      const address = new URL(database.url);
      const { password } = address;
      address.username = 'tenant';
      await database.sql(`DROP ROLE IF EXISTS tenant; CREATE ROLE tenant LOGIN PASSWORD '${password}';
        GRANT USAGE ON SCHEMA live TO tenant;
        GRANT INSERT, SELECT ON ALL TABLES IN SCHEMA live TO tenant;
        ALTER TABLE ${T} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY mine ON ${T} TO tenant USING (true) WITH CHECK (user_id <> 7)`);
      const ledger = await startLedger({
        ...{ connection: { url: address.href }, migrations: 'off', numWorkers, batchSize },
      });
      for (let i = 0; i < 1000; i++) ledger.record({ userId: i % 10, promptTokens: 1 });
      for (let i = 0; i < 1000; i++) ledger.record({ userId: (i % 10) + 1, promptTokens: 1 });
      await ledger.flush({ timeoutMs: FLUSH_MS });
      const { written, deadLettered, queued } = ledger.stats();
      expect({ written, deadLettered }).toEqual({ written: queued - 200, deadLettered: 200 });
      expect(lines.filter((line) => /^halted/.test(line))).toHaveLength(0);
      await app!.close();
      await database.sql('DROP SCHEMA live CASCADE; DROP ROLE tenant');
    },
  );
});
