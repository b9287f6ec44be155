import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { RowBatch } from '../ports/ledger-sink.interface.js';
import { rowBatch } from '../sink-kit/sink-trial.js';
import { ATTEMPT, MEMOS, SinksUnderTest } from './fixtures/sinks-under-test.fixture.js';

let test: SinksUnderTest;

beforeEach(async () => {
  test = await SinksUnderTest.create(inject('databaseUrl'));
});
afterEach(() => test.dispose());

/** The reported refusals: index, SQLSTATE, subject, and whether it is certain. */
async function refusals(batch: RowBatch): Promise<unknown[]> {
  const { refused } = await test.makeSink().writeEach(batch, ATTEMPT);
  return refused.map(({ index, error, isCertain }) => {
    const { sqlState, subject } = error;
    if (JSON.stringify([error, error.message]).includes('secret')) throw new Error('tells a text');
    return [index, sqlState, subject, isCertain];
  });
}

const FORBID = `ALTER TABLE $T ADD CONSTRAINT nice CHECK (memo NOT LIKE '%poison%')`;

describe('rows tried separately', () => {
  it('are written like by COPY, with any content', async () => {
    const uuids = [randomUUID(), randomUUID()];
    const entry = (uuid: string): Record<string, unknown> => ({
      ...{ uuid, userId: 2n ** 62n, apiKeyId: 7, promptTokens: 5, completionTokens: 6 },
      ...{ direction: 'supply', memo: `"quoted" \\ {a,b} $nestjs$ 'x' 😀 \u{1d49c}` },
      attributes: { nested: [1, null, { text: '日本' }], big: 1e21 },
      createdAt: new Date('2000-01-01T00:00:00.001Z'),
    });
    const rows = uuids.map((uuid) => test.database.row(entry(uuid)));
    const sink = test.makeSink();
    await sink.write(rowBatch([rows[0]!]), ATTEMPT);
    await sink.writeEach(rowBatch([rows[1]!]), ATTEMPT);
    const stored = await test.database.sql(
      `SELECT to_jsonb(t) - 'uuid' - 'written_at' AS entry FROM $T t`,
    );
    expect(stored).toHaveLength(2);
    expect(stored[0]).toEqual(stored[1]);
  });

  it('are duplicates and conflicts if their uuid exists, even within the batch', async () => {
    const sink = test.makeSink();
    const at = { createdAt: new Date('2026-01-01') };
    const [one, two] = [randomUUID(), randomUUID()];
    const row = (uuid: string, memo: string): Buffer => test.database.row({ uuid, memo, ...at });
    await sink.write(rowBatch([row(one, 'a')]), ATTEMPT);
    const batch = rowBatch([row(one, 'a'), row(one, 'b'), row(two, 'a'), row(two, 'a')]);
    const result = await sink.writeEach(batch, ATTEMPT);
    expect(result).toEqual({
      ...{ written: 1, duplicates: [0, 3], conflicts: [1], refused: [], untried: [] },
    });
  });

  it('are duplicates by their key alone, at any later time', async () => {
    const keyed = (): Buffer => test.database.row({ idempotencyKey: 'order-17', memo: 'a' });
    const first = rowBatch([keyed()]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const sink = test.makeSink();
    expect(await sink.write(first, ATTEMPT)).toMatchObject({ written: 1 });
    for (const write of [
      sink.write(rowBatch([keyed()]), ATTEMPT),
      sink.writeEach(first, ATTEMPT),
    ]) {
      expect(await write).toMatchObject({ duplicates: [0], conflicts: [] });
    }
    const again = await sink.writeEach(rowBatch([keyed(), keyed()]), ATTEMPT);
    expect(again).toMatchObject({ written: 0, duplicates: [0, 1], conflicts: [] });
  });

  it('are refused for certain if others are accepted, for any kind of refusal', async () => {
    await test.database.sql(FORBID);
    await test.database.sql('CREATE UNIQUE INDEX own_index ON $T (user_id)');
    const batch = rowBatch(
      ['a', 'poison', 'same', 'b'].map((memo, i) =>
        test.database.row({ uuid: randomUUID(), userId: memo === 'same' ? 1 : i + 1, memo }),
      ),
    );
    expect(await refusals(batch)).toEqual([
      [1, '23514', 'nice', true],
      [2, '23505', 'own_index', true],
    ]);
    expect(await test.count()).toBe(2);
  });

  it('are refused without certainty if none is accepted', async () => {
    await test.database.sql('ALTER TABLE $T ADD COLUMN region text NOT NULL');
    expect(await refusals(test.batchOf(['a', 'b']))).toEqual([
      [0, '23502', 'region', false],
      [1, '23502', 'region', false],
    ]);
  });

  it('name a missing table', async () => {
    await test.database.sql('ALTER TABLE $T RENAME TO elsewhere');
    const { refused } = await test.makeSink().writeEach(test.batchOf(['a']), ATTEMPT);
    expect(refused[0]!.error).toMatchObject({ code: 'SINK_HALT', sqlState: '42P01' });
  });

  it('are found by checks at the commit', async () => {
    await test.createTrigger(
      `RAISE EXCEPTION 'secret %', NEW.memo`,
      'CONSTRAINT TRIGGER t AFTER INSERT ON $T DEFERRABLE INITIALLY DEFERRED',
    );
    expect(await refusals(test.batchOf(MEMOS))).toEqual([[2, 'P0001', undefined, true]]);
    expect(await test.count()).toBe(3);
  });

  it.each(['57014', '40001', '53100'])(
    'are not blamed for what is the server’s own: %s',
    async (sqlState) => {
      const raise = `RAISE EXCEPTION 'secret' USING ERRCODE = '${sqlState}'`;
      await test.createTrigger(raise, 'TRIGGER t BEFORE INSERT ON $T');
      const write = test.makeSink().writeEach(test.batchOf(MEMOS), ATTEMPT);
      await expect(write).rejects.toMatchObject({ code: 'SINK_TRANSIENT', sqlState });
      expect(await test.count()).toBe(0);
    },
  );

  it('stop in time, and report which were not tried', async () => {
    await test.createTrigger('PERFORM pg_sleep(0.3)', 'TRIGGER t BEFORE INSERT ON $T');
    const batch = test.batchOf(Array.from({ length: 20 }, () => 'poison'));
    const result = await test.makeSink().writeEach(batch, { ...ATTEMPT, timeoutMs: 5000 });
    expect(result.untried.length).toBeGreaterThan(3);
    expect(result.written).toBe(20 - result.untried.length);
    expect(await test.count()).toBe(result.written);
  });

  it('are tried by single statements if the role may not use plpgsql', async () => {
    await test.database.sql(FORBID);
    await test.database.admin.query('REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC');
    const role = `writer_${randomUUID().slice(0, 8)}`;
    const { schema } = test.database;
    await test.database.admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret';
      GRANT USAGE ON SCHEMA "${schema}" TO ${role};
      GRANT INSERT, SELECT ON "${schema}".usage_entries TO ${role}`);
    try {
      const url = new URL(test.database.url);
      url.username = role;
      url.password = 'secret';
      const sink = test.makeSink('copy', { url: url.href });
      const result = await sink.writeEach(test.batchOf(MEMOS), ATTEMPT);
      expect(result).toMatchObject({ written: 3, untried: [] });
      expect(result.refused).toMatchObject([{ index: 2, isCertain: true }]);
    } finally {
      await test.closeSinks();
      await test.database.admin.query('GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC');
      await test.database.admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});

describe('rows removed by a trigger', () => {
  it.each(['copy', 'insert'] as const)('are reported as not stored, by %s', async (strategy) => {
    await test.createTrigger('RETURN NULL', 'TRIGGER t BEFORE INSERT ON $T');
    const sink = test.makeSink(strategy);
    const taken = { written: 4, duplicates: [], conflicts: [], notStored: 1 };
    const batch = test.batchOf(MEMOS);
    expect(await sink.write(batch, ATTEMPT)).toEqual(taken);
    expect(await sink.write(batch, ATTEMPT)).toEqual({
      ...{ written: 1, duplicates: [0, 1, 3], conflicts: [], notStored: 1 },
    });
    expect(await sink.writeEach(test.batchOf(MEMOS), ATTEMPT)).toMatchObject(taken);
    expect(await test.count()).toBe(6);
  });
});

describe('rows whose key is changed by a trigger', () => {
  it('are written, and known to be written', async () => {
    const { schema } = test.database;
    await test.database.sql(`
      CREATE FUNCTION "${schema}".other() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN NEW.uuid := gen_random_uuid(); RETURN NEW; END $$`);
    await test.database.sql(
      `CREATE TRIGGER t BEFORE INSERT ON $T FOR EACH ROW EXECUTE FUNCTION "${schema}".other()`,
    );
    const result = await test.makeSink().write(test.batchOf(MEMOS), { ...ATTEMPT, mayExist: true });
    expect(result).toEqual({ written: 4, duplicates: [], conflicts: [] });
    expect(await test.count()).toBe(4);
  });
});
