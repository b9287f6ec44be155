import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { DataSource } from 'typeorm';
import type { LedgerDefinition } from '../../libs/ledger/src/define-ledger.js';
import { rollupNames, type RollupNames } from '../../libs/ledger/src/rollup/rollup-layout.js';
import { tableNames } from '../../libs/ledger/src/postgres/table-names.js';
import { LedgerRollups } from '../../libs/ledger/src/rollup/ledger-rollups.js';
import { RollupRefresher } from '../../libs/ledger/src/rollup/rollup-refresher.js';
import type { RollupRefresherParts } from '../../libs/ledger/src/rollup/rollup-refresher.js';
import { ManualClock } from '../../libs/ledger/src/testing/manual-clock.js';
import { UsageReader } from '../../libs/ledger/src/reading/usage-reader.js';
import { PgConnections } from '../../libs/ledger/src/postgres/pg-connections.js';
import { runMigrations } from '../../libs/ledger/src/migrations/fixtures/wired-migrations.fixture.js';

/** A migrated ledger with everything that a test of rollups does to it. */
export interface RollupBench {
  readonly client: pg.Client;
  readonly connections: PgConnections;
  readonly reader: UsageReader<LedgerDefinition>;
  readonly table: string;
  readonly names: RollupNames;
  /** Warnings of the rollups. */
  readonly notices: string[];
  /** A refresher without a margin: every transaction of the test is known to have begun. */
  refresher(parts?: Partial<RollupRefresherParts>): RollupRefresher;
  /** Refreshes until nothing is left to do. */
  refreshAll(): Promise<void>;
  /** Changes entries as their owner may: between a pause and a rebuild. */
  change(...statements: string[]): Promise<void>;
  /** The watermark before which buckets hold entries; null if they hold none. */
  closedBefore(): Promise<Date | null>;
  connect(): Promise<pg.Client>;
  close(): Promise<void>;
}

export async function openRollupBench(
  url: string,
  definition: LedgerDefinition,
): Promise<RollupBench> {
  await runMigrations({ type: 'postgres', url }, definition);
  const clients: pg.Client[] = [];
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    clients.push(client);
    await client.connect();
    return client;
  };
  const client = await connect();
  const dataSource = await new DataSource({ type: 'postgres', url, poolSize: 4 }).initialize();
  const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: false });
  const notices: string[] = [];
  const rollups = new LedgerRollups({
    definition,
    connections,
    reads: connections,
    clock: new ManualClock(),
    logger: { log: () => {}, warn: (text) => void notices.push(text), error: () => {} },
  });
  await rollups.find();
  const reader = new UsageReader({
    definition,
    connections,
    asOf: () => new Date(),
    source: rollups,
  });
  const names = rollupNames(definition, definition.schema);
  const refresher = (parts: Partial<RollupRefresherParts> = {}): RollupRefresher =>
    new RollupRefresher({ definition, connections, marginMs: 0, restFactor: 0, ...parts });
  return {
    ...{ client, connections, reader, names, notices, refresher, connect },
    table: tableNames(definition).sqlEntries,
    async refreshAll() {
      const own = refresher();
      // The first one only notes which transactions are running.
      for (let calm = 0; calm < 2;) {
        calm = (await own.refresh()).isBehind ? 0 : calm + 1;
      }
    },
    async change(...statements) {
      const own = refresher();
      if (!(await own.pause())) throw new Error('another process refreshes');
      for (const statement of statements) await client.query(statement);
      if (!(await own.empty())) throw new Error('another process refreshes');
    },
    async closedBefore() {
      const { rows } = await client.query<{ moment: Date | null }>(
        `SELECT nullif(closed_before, '-infinity') AS moment FROM ${names.sqlState}`,
      );
      return rows[0]!.moment;
    },
    async close() {
      if (definition.schema === undefined) await undo(dataSource, definition);
      else await client.query(`DROP SCHEMA "${definition.schema}" CASCADE`);
      await Promise.all(clients.map((each) => each.end()));
      await dataSource.destroy();
    },
  };
}

async function undo(dataSource: DataSource, { migrations }: LedgerDefinition): Promise<void> {
  const runner = dataSource.createQueryRunner();
  for (const each of [...migrations].reverse()) await new each().down(runner);
  await runner.release();
}

/** Not used by any other test. */
export function ownSchema(): string {
  return `rollup ${randomUUID()}`;
}
