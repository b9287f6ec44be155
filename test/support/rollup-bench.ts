import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { DataSource } from 'typeorm';
import type { LedgerDefinition } from '../../libs/ledger/src/define-ledger.js';
import { rollupNames, type RollupNames } from '../../libs/ledger/src/rollup/rollup-tables.js';
import { tableNames } from '../../libs/ledger/src/postgres/table-names.js';
import { RollupPass } from '../../libs/ledger/src/rollup/rollup-pass.js';
import type { RollupPassParts } from '../../libs/ledger/src/rollup/rollup-pass.js';
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
  /** Lines that the reader gave notice of. */
  readonly notices: string[];
  /** A pass without a margin: every transaction of the test is known to have begun. */
  pass(parts?: Partial<RollupPassParts>): RollupPass;
  /** Passes until nothing is left to do. */
  settle(): Promise<void>;
  /** The moment before which rollups hold entries; null if they hold none. */
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
  const asOf = (): Date => new Date();
  const onNotice = (text: string): void => void notices.push(text);
  const reader = new UsageReader({ definition, connections, asOf, onNotice });
  const names = rollupNames(definition, definition.schema);
  const pass = (parts: Partial<RollupPassParts> = {}): RollupPass =>
    new RollupPass({ definition, connections, marginMs: 0, restFactor: 0, ...parts });
  return {
    ...{ client, connections, reader, names, notices, pass, connect },
    table: tableNames(definition).sqlEntries,
    async settle() {
      const own = pass();
      // The first look only notes which transactions are running.
      for (let calm = 0; calm < 2;) {
        calm = (await own.run()).isBehind ? 0 : calm + 1;
      }
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
