import { randomBytes, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { rowBatch } from '../sink-kit/sink-trial.js';
import { PickedRows } from './picked-rows.js';
import {
  AGAIN,
  ATTEMPT,
  MEMOS,
  refusal,
  SinksUnderTest,
} from './fixtures/sinks-under-test.fixture.js';

let test: SinksUnderTest;

beforeEach(async () => {
  test = await SinksUnderTest.create(inject('databaseUrl'));
});
afterEach(() => test.dispose());

describe("a row named by COPY's refusal", () => {
  it.each([ATTEMPT, AGAIN])('breaks a CHECK (mayExist $mayExist)', async (attempt) => {
    await test.database.sql(`ALTER TABLE $T ADD CONSTRAINT nice CHECK (memo NOT LIKE '%poison%')`);
    const told = await refusal(test.makeSink().write(test.batchOf(MEMOS), attempt));
    expect(told).toEqual({ kind: 'row', sqlState: '23514', subject: 'nice', rowNumber: 3 });
    expect(await test.count()).toBe(0);
  });

  it('is named by its place in the batch, even after existing rows', async () => {
    const sink = test.makeSink();
    const batch = test.batchOf(MEMOS);
    await sink.write(new PickedRows(batch, [0, 1]), ATTEMPT);
    await test.database.sql(`ALTER TABLE $T ADD CONSTRAINT nice CHECK (memo NOT LIKE '%poison%')`);
    for (const attempt of [ATTEMPT, AGAIN]) {
      expect(await refusal(sink.write(batch, attempt))).toMatchObject({
        kind: 'row',
        rowNumber: 3,
      });
    }
    expect(await test.count()).toBe(2);
  });

  it('breaks a user’s unique index, found by either path', async () => {
    await test.database.sql('CREATE UNIQUE INDEX own_index ON $T (memo)');
    const sink = test.makeSink();
    await sink.write(test.batchOf(['secret poison']), ATTEMPT);
    const told = { kind: 'row', sqlState: '23505', subject: 'own_index' };
    for (const attempt of [ATTEMPT, AGAIN]) {
      const refused = await refusal(sink.write(test.batchOf(MEMOS), attempt));
      expect(refused).toEqual({ ...told, rowNumber: 3 });
    }
    expect(await test.count()).toBe(1);
  });

  it('is refused by a trigger, even if its text looks like the server’s own', async () => {
    const statement = `EXECUTE format('SELECT 1/0 /* %s */', NEW.memo)`;
    await test.createTrigger(statement, 'TRIGGER t BEFORE INSERT ON $T');
    const memos = ['a', 'poison\nCOPY usage_entries, line 1\n'];
    const told = await refusal(test.makeSink().write(test.batchOf(memos), ATTEMPT));
    expect(told).toMatchObject({ kind: 'row', sqlState: '22012', rowNumber: 2 });
  });

  it.each([
    ['P0001', `RAISE EXCEPTION 'secret %', NEW.memo`],
    ['42P01', 'PERFORM 1 FROM no_such_table'],
    ['U0001', `RAISE EXCEPTION 'secret' USING ERRCODE = 'U0001'`],
  ])('is at fault whatever its trigger raises: %s', async (sqlState, statement) => {
    await test.createTrigger(statement, 'TRIGGER t BEFORE INSERT ON $T');
    const told = await refusal(test.makeSink().write(test.batchOf(MEMOS), ATTEMPT));
    expect(told).toMatchObject({ kind: 'row', sqlState, rowNumber: 3 });
  });

  it('is too long for a narrowed column', async () => {
    await test.database.sql('ALTER TABLE $T ALTER COLUMN memo TYPE varchar(8)');
    const told = await refusal(
      test.makeSink().write(test.batchOf(['secret', 'much too long']), ATTEMPT),
    );
    expect(told).toEqual({ kind: 'row', sqlState: '22001', subject: 'memo', rowNumber: 2 });
  });

  it('is not blamed when a column’s type changed, even if it is the only one', async () => {
    const sink = test.makeSink();
    await test.database.sql('ALTER TABLE $T ALTER COLUMN user_id TYPE integer');
    const shorter = await refusal(sink.write(test.batchOf(['secret']), ATTEMPT));
    expect(shorter).toEqual({ kind: 'halt', sqlState: '22P03', subject: 'user_id' });
    await test.database.sql('ALTER TABLE $T ALTER COLUMN user_id TYPE bigint');
    await test.database.sql('ALTER TABLE $T ALTER COLUMN prompt_tokens TYPE bigint');
    const longer = await refusal(sink.write(test.batchOf(['secret']), ATTEMPT));
    expect(longer).toEqual({ kind: 'halt', sqlState: '08P01', subject: 'prompt_tokens' });
    await test.database.sql('ALTER TABLE $T ALTER COLUMN prompt_tokens TYPE integer');
    await sink.write(test.batchOf(MEMOS), ATTEMPT);
    expect(await test.count()).toBe(4);
  });

  it('looks like poison after a column was added as NOT NULL', async () => {
    const sink = test.makeSink();
    await test.database.sql('ALTER TABLE $T ADD COLUMN region text NOT NULL');
    const added = await refusal(sink.write(test.batchOf(MEMOS), ATTEMPT));
    expect(added).toEqual({ kind: 'row', sqlState: '23502', subject: 'region', rowNumber: 1 });
    await test.database.sql('ALTER TABLE $T DROP COLUMN region');
    await sink.write(test.batchOf(MEMOS), ATTEMPT);
    expect(await test.count()).toBe(4);
  });
});

describe('a row at fault that the server does not name', () => {
  it('breaks a foreign key', async () => {
    await test.database.sql(`CREATE TABLE "${test.database.schema}".users (id bigint PRIMARY KEY)`);
    await test.database.sql(`INSERT INTO "${test.database.schema}".users VALUES (1), (2), (4)`);
    await test.database.sql(
      `ALTER TABLE $T ADD CONSTRAINT known_user FOREIGN KEY (user_id) REFERENCES "${test.database.schema}".users`,
    );
    for (const attempt of [ATTEMPT, AGAIN]) {
      const told = await refusal(test.makeSink().write(test.batchOf(MEMOS), attempt));
      expect(told).toMatchObject({ kind: 'row', sqlState: '23503', subject: 'known_user' });
      expect(told.rowNumber).toBeUndefined();
    }
    expect(await test.count()).toBe(0);
  });

  it('is too long for a user’s index', async () => {
    await test.database.sql('CREATE INDEX own_index ON $T (memo)');
    // Random, or the index would compress it; more than 2,704 bytes don't fit.
    const memos = ['short', randomBytes(3000).toString('hex'), 'short too'];
    const told = { kind: 'row', sqlState: '54000', subject: 'own_index' };
    for (const [strategy, rowNumber] of [
      ['copy', 2],
      ['insert', undefined],
    ] as const) {
      for (const attempt of [ATTEMPT, AGAIN]) {
        const refused = await refusal(test.makeSink(strategy).write(test.batchOf(memos), attempt));
        expect(refused).toEqual({ ...told, rowNumber });
      }
    }
    expect(await test.count()).toBe(0);
  });

  it('is refused by a deferred trigger at the commit', async () => {
    await test.createTrigger(
      `RAISE EXCEPTION 'secret'`,
      'CONSTRAINT TRIGGER t AFTER INSERT ON $T DEFERRABLE INITIALLY DEFERRED',
    );
    for (const strategy of ['copy', 'insert'] as const) {
      for (const attempt of [ATTEMPT, AGAIN]) {
        const told = await refusal(test.makeSink(strategy).write(test.batchOf(MEMOS), attempt));
        expect(told).toMatchObject({ kind: 'row', sqlState: 'P0001', rowNumber: undefined });
      }
    }
    expect(await test.count()).toBe(0);
  });
});

describe('a partitioned table', () => {
  beforeEach(async () => {
    const s = `"${test.database.schema}"`;
    await test.database.sql('ALTER TABLE $T RENAME TO old_entries');
    await test.database.sql(
      `CREATE TABLE $T (LIKE ${s}.old_entries INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
       PRIMARY KEY (created_at, uuid)) PARTITION BY RANGE (created_at)`,
    );
    await test.database.sql(
      `CREATE TABLE ${s}.entries_2026 PARTITION OF $T
       FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`,
    );
  });

  it('accepts batches, and finds duplicates and conflicts by its own key', async () => {
    const uuids = [randomUUID(), randomUUID(), randomUUID()];
    const rows = (memo: string): Buffer[] =>
      uuids.map((uuid) => test.database.row({ uuid, memo, createdAt: new Date('2026-03-01') }));
    for (const strategy of ['copy', 'insert'] as const) {
      await test.database.sql('TRUNCATE $T');
      const sink = test.makeSink(strategy);
      await sink.write(rowBatch(rows('a').slice(0, 2)), ATTEMPT);
      const mixed = [rows('a')[0]!, rows('b')[1]!, rows('a')[2]!];
      const expected = { written: 1, duplicates: [0], conflicts: [1] };
      await expect(sink.write(rowBatch(mixed), ATTEMPT)).resolves.toEqual(expected);
      const again = { written: 0, duplicates: [0, 2], conflicts: [1] };
      await expect(sink.write(rowBatch(mixed), AGAIN)).resolves.toEqual(again);
    }
  });

  it('refuses rows without a partition, by name', async () => {
    const batch = test.batchOf(MEMOS, { createdAt: new Date('2025-06-01') });
    const told = await refusal(test.makeSink().write(batch, ATTEMPT));
    expect(told).toMatchObject({ kind: 'row', sqlState: '23514', rowNumber: 1 });
  });
});
