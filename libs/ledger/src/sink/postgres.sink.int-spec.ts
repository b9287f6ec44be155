import { PgConnections } from '../postgres/pg-connections.js';
import type { WriteStrategy } from '../ports/ledger-settings.interface.js';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { createLedgerDatabase, type LedgerDatabase } from './fixtures/ledger-database.fixture.js';
import { describeSinkConformance, type SinkSubject } from '../sink-kit/sink-conformance.js';
import { PostgresSink } from './postgres.sink.js';

let plain: LedgerDatabase;
let partitioned: LedgerDatabase;

beforeAll(async () => {
  const columns = { model: 'text', costNanos: 'bigint', weight: 'numeric' } as const;
  plain = await createLedgerDatabase(inject('databaseUrl'), { columns });
  partitioned = await createLedgerDatabase(inject('databaseUrl'), { columns, partition: 'month' });
  // Random uuids of any time fall on both sides of this one.
  const half = '80000000-0000-0000-0000-000000000000';
  await partitioned.sql(
    `CREATE TABLE "${partitioned.schema}".half PARTITION OF $T FOR VALUES FROM (MINVALUE) TO ('${half}')`,
  );
});
afterAll(async () => {
  await plain.drop();
  await partitioned.drop();
});

async function makeSubject(
  strategy: WriteStrategy,
  database: LedgerDatabase,
): Promise<SinkSubject> {
  await database.sql('TRUNCATE $T');
  const dataSource = database.dataSource();
  const sink = new PostgresSink({
    connections: new PgConnections({ dataSource: () => dataSource, ownsDataSource: true }),
    closesConnections: true,
    table: database.table,
    strategy,
    prepare: async () => {},
    onNotice: () => {},
  });
  const undo: (() => Promise<unknown>)[] = [];
  return {
    sink,
    row: (uuid, memo) =>
      database.row({
        uuid,
        memo,
        createdAt: new Date('2026-01-01T00:00:00.123Z'),
        attributes: { b: 1, a: [memo.length, null] },
        model: memo === '' ? null : 'gpt',
        costNanos: 9007199254740993n,
        weight: '1.50',
      }),
    async stored() {
      const rows = await database.sql<{ uuid: string; memo: string }>('SELECT uuid, memo FROM $T');
      return new Map(rows.map(({ uuid, memo }) => [uuid, memo]));
    },
    async refuse(content) {
      const name = `refuse_${undo.length}`;
      await database.sql(`ALTER TABLE $T ADD CONSTRAINT ${name} CHECK (memo <> '${content}')`);
      undo.push(() => database.sql(`ALTER TABLE $T DROP CONSTRAINT ${name}`));
    },
    async block() {
      const runner = database.admin.createQueryRunner();
      await runner.startTransaction();
      await runner.query(`LOCK TABLE "${database.schema}".usage_entries`);
      return async () => {
        await runner.rollbackTransaction();
        await runner.release();
      };
    },
    async dispose() {
      await sink.close();
      for (const step of undo) await step();
    },
  };
}

const options = { level: 'exactly-once', runner: { describe, it } } as const;
describeSinkConformance('PostgreSQL by COPY', () => makeSubject('copy', plain), options);
describeSinkConformance('PostgreSQL by INSERT', () => makeSubject('insert', plain), options);
describeSinkConformance('partitions by COPY', () => makeSubject('copy', partitioned), options);
describeSinkConformance('partitions by INSERT', () => makeSubject('insert', partitioned), options);
