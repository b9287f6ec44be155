import type { WriteStrategy } from '../ports/ledger-settings.interface.js';
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  AGAIN,
  ATTEMPT,
  MEMOS,
  refusal,
  SinksUnderTest,
} from './fixtures/sinks-under-test.fixture.js';
import type { PostgresSink } from './postgres.sink.js';

let test: SinksUnderTest;

beforeEach(async () => {
  test = await SinksUnderTest.create(inject('databaseUrl'));
});
afterEach(() => test.dispose());

describe('a table that no batch can be written to', () => {
  it.each(['copy', 'insert'] as const)(
    'was renamed away, and comes back (%s)',
    async (strategy) => {
      const sink = test.makeSink(strategy);
      await test.database.sql('ALTER TABLE $T RENAME TO elsewhere');
      for (const attempt of [ATTEMPT, AGAIN]) {
        const told = await refusal(sink.write(test.batchOf(MEMOS), attempt));
        expect(told).toMatchObject({ kind: 'halt', sqlState: '42P01' });
      }
      await test.database.sql(
        `ALTER TABLE "${test.database.schema}".elsewhere RENAME TO usage_entries`,
      );
      await expect(sink.write(test.batchOf(MEMOS), ATTEMPT)).resolves.toMatchObject({ written: 4 });
    },
  );

  it.each(['copy', 'insert'] as const)('lost a column (%s)', async (strategy) => {
    await test.database.sql('ALTER TABLE $T DROP COLUMN service_id');
    const told = await refusal(test.makeSink(strategy).write(test.batchOf(MEMOS), ATTEMPT));
    expect(told).toMatchObject({ kind: 'halt', sqlState: '42703' });
  });

  it('is in a dropped schema', async () => {
    const sink = test.makeSink();
    await test.database.admin.query(`DROP SCHEMA "${test.database.schema}" CASCADE`);
    const told = await refusal(sink.write(test.batchOf(MEMOS), ATTEMPT));
    expect(told).toMatchObject({ kind: 'halt', sqlState: '3F000' });
  });

  it('may only be read', async () => {
    const sink = test.makeSink('copy', {
      extra: { options: '-c default_transaction_read_only=on' },
    });
    for (const attempt of [ATTEMPT, AGAIN]) {
      const told = await refusal(sink.write(test.batchOf(MEMOS), attempt));
      expect(told).toMatchObject({ kind: 'transient', sqlState: '25006' });
      expect(told.outcomeKnown).toBe(attempt === ATTEMPT);
    }
  });
});

describe('a role with few rights', () => {
  let role: string;
  beforeEach(async () => {
    role = `writer_${randomUUID().slice(0, 8)}`;
    await test.database.admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    await test.database.admin.query(`GRANT USAGE ON SCHEMA "${test.database.schema}" TO ${role}`);
  });
  afterEach(async () => {
    await test.closeSinks();
    await test.database.admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });
  function asRole(strategy: WriteStrategy): PostgresSink {
    const url = new URL(test.database.url);
    url.username = role;
    url.password = 'secret';
    return test.makeSink(strategy, { url: url.href });
  }

  it('may not write, and the ledger halts', async () => {
    for (const strategy of ['copy', 'insert'] as const) {
      const told = await refusal(asRole(strategy).write(test.batchOf(MEMOS), ATTEMPT));
      expect(told).toMatchObject({ kind: 'halt', sqlState: '42501' });
    }
  });

  it('needs INSERT and SELECT on the table, and nothing more', async () => {
    const [database] = await test.database.sql<{ name: string }>(
      'SELECT current_database() AS name',
    );
    await test.database.sql(`REVOKE TEMPORARY ON DATABASE "${database!.name}" FROM PUBLIC`);
    try {
      await expectAllWays();
    } finally {
      await test.database.sql(`GRANT TEMPORARY ON DATABASE "${database!.name}" TO PUBLIC`);
    }
  });

  async function expectAllWays(): Promise<void> {
    await test.database.sql(`GRANT INSERT, SELECT ON $T TO ${role}`);
    for (const strategy of ['copy', 'insert'] as const) {
      const sink = asRole(strategy);
      const batch = test.batchOf(MEMOS);
      await expect(sink.write(batch, ATTEMPT)).resolves.toMatchObject({ written: 4 });
      await expect(sink.write(batch, ATTEMPT)).resolves.toMatchObject({ written: 0 });
      await expect(sink.write(batch, AGAIN)).resolves.toMatchObject({ written: 0 });
      const each = { written: 0, duplicates: [0, 1, 2, 3], refused: [] };
      await expect(sink.writeEach(batch, ATTEMPT)).resolves.toMatchObject(each);
    }
  }

  it('continues with insert under row-level security, and reports it once', async () => {
    await test.database.sql(`GRANT INSERT, SELECT ON $T TO ${role}`);
    await test.database.sql('ALTER TABLE $T ENABLE ROW LEVEL SECURITY');
    await test.database.sql(
      `CREATE POLICY own ON $T TO ${role} USING (true) WITH CHECK (user_id <> 3)`,
    );
    const sink = asRole('copy');
    const batch = test.batchOf(['secret a', 'secret b']);
    await expect(sink.write(batch, AGAIN)).resolves.toMatchObject({ written: 2 });
    expect(sink.strategy).toBe('insert');
    await expect(sink.write(batch, ATTEMPT)).resolves.toMatchObject({ duplicates: [0, 1] });
    await expect(sink.write(test.batchOf(['c']), ATTEMPT)).resolves.toMatchObject({ written: 1 });
    expect(test.notices).toEqual([expect.stringContaining('insert')]);
    for (const strategy of ['copy', 'insert'] as const) {
      for (const attempt of [ATTEMPT, AGAIN]) {
        const told = await refusal(asRole(strategy).write(test.batchOf(MEMOS), attempt));
        expect(told).toMatchObject({ kind: 'row', sqlState: '42501', rowNumber: undefined });
      }
    }
  });

  it('may not log in any more', async () => {
    const sink = asRole('copy');
    await test.database.admin.query(`ALTER ROLE ${role} NOLOGIN`);
    const told = await refusal(sink.write(test.batchOf(MEMOS), ATTEMPT));
    expect(told.kind).toBe('halt');
    expect(told.sqlState).toMatch(/^28/);
  });
});
