import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
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

const STRATEGIES = ['copy', 'insert'] as const;

/** The expected results of a batch and its repetition, by each strategy. */
async function writeTwice(strategy: 'copy' | 'insert'): Promise<object[]> {
  const sink = test.makeSink(strategy);
  const results: object[] = [];
  for (const first of [ATTEMPT, AGAIN]) {
    const batch = test.batchOf(MEMOS);
    const half = new PickedRows(batch, [0, 2]);
    results.push(await sink.write(half, first));
    for (const attempt of [ATTEMPT, AGAIN]) results.push(await sink.write(batch, attempt));
    results.push(await sink.writeEach(batch, AGAIN));
  }
  return results;
}

const nothing = { duplicates: [], conflicts: [] };
const ALL_THERE = { written: 0, duplicates: [0, 1, 2, 3], conflicts: [] };
const ALL_THERE_EACH = { ...ALL_THERE, refused: [], untried: [] };
const TWICE = [
  { ...nothing, written: 2 },
  { written: 2, duplicates: [0, 2], conflicts: [] },
  ALL_THERE,
  ALL_THERE_EACH,
];

// PostgreSQL accepts no ON CONFLICT there (0A000), and no INSERT in WITH or with RETURNING.
describe.each(STRATEGIES)('a table with a rule, by %s', (strategy) => {
  it.each([
    ['ON INSERT TO $T WHERE NEW.user_id = 99 DO INSTEAD NOTHING'],
    ['ON INSERT TO $T DO ALSO SELECT 1'],
    ['ON UPDATE TO $T DO INSTEAD NOTHING'],
  ])('takes new rows and repeated ones: %s', async (rule) => {
    await test.database.sql(`CREATE RULE own AS ${rule}`);
    expect(await writeTwice(strategy)).toEqual([...TWICE, ...TWICE]);
    expect(await test.count()).toBe(8);
  });
});

describe.each(STRATEGIES)('a table whose trigger puts rows into children, by %s', (strategy) => {
  beforeEach(async () => {
    const { schema } = test.database;
    await test.database.sql(`
      CREATE TABLE "${schema}".child (LIKE $T INCLUDING ALL) INHERITS ($T);
      CREATE FUNCTION "${schema}".route() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO "${schema}".child VALUES (NEW.*); RETURN NULL; END $$;
      CREATE TRIGGER route BEFORE INSERT ON $T FOR EACH ROW EXECUTE FUNCTION "${schema}".route()`);
  });

  it('accepts new rows, which it does not report, and recognises them later', async () => {
    const [two, rest, ...again] = TWICE;
    const twice = [{ ...two, notStored: 2 }, { ...rest, notStored: 2 }, ...again];
    expect(await writeTwice(strategy)).toEqual([...twice, ...twice]);
    expect(await test.count()).toBe(8);
  });

  it('reports different content under a uuid as a conflict', async () => {
    const sink = test.makeSink(strategy);
    const uuid = 'a0000000-0000-4000-8000-000000000001';
    await sink.write(test.batchOf(['one'], { uuid }), ATTEMPT);
    for (const attempt of [ATTEMPT, AGAIN]) {
      const result = await sink.write(test.batchOf(['other'], { uuid }), attempt);
      expect(result).toEqual({ written: 0, duplicates: [], conflicts: [0] });
    }
  });
});

describe.each(STRATEGIES)('a view instead of the table, by %s', (strategy) => {
  beforeEach(async () => {
    const { schema } = test.database;
    await test.database.sql(`ALTER TABLE $T RENAME TO stored`);
    await test.database.sql(`CREATE VIEW $T AS SELECT * FROM "${schema}".stored`);
  });

  it('accepts rows if the server can write through it', async () => {
    expect(await writeTwice(strategy)).toEqual([...TWICE, ...TWICE]);
    expect(await test.count()).toBe(8);
    expect(test.notices).toHaveLength(strategy === 'copy' ? 1 : 0);
  });

  it('accepts rows if a trigger writes them', async () => {
    const { schema } = test.database;
    await test.database.sql(`
      CREATE FUNCTION "${schema}".route() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        NEW.written_at := coalesce(NEW.written_at, now());
        INSERT INTO "${schema}".stored SELECT NEW.*;
        RETURN NEW;
      END $$;
      CREATE TRIGGER route INSTEAD OF INSERT ON $T FOR EACH ROW
      EXECUTE FUNCTION "${schema}".route()`);
    expect(await writeTwice(strategy)).toEqual([...TWICE, ...TWICE]);
    expect(await test.count()).toBe(8);
    expect(test.notices).toEqual([]);
  });

  it('halts if the view accepts no rows', async () => {
    await test.database.sql('DROP VIEW $T');
    await test.database.sql(
      `CREATE VIEW $T AS SELECT DISTINCT * FROM "${test.database.schema}".stored`,
    );
    for (const attempt of [ATTEMPT, AGAIN]) {
      const told = await refusal(test.makeSink(strategy).write(test.batchOf(MEMOS), attempt));
      expect(told).toMatchObject({ kind: 'halt' });
    }
  });
});

describe('rows that two writers write at once', () => {
  it('are written once, and each writer knows which were not its own', async () => {
    const sinks = STRATEGIES.flatMap((strategy) => [
      test.makeSink(strategy),
      test.makeSink(strategy),
    ]);
    for (let round = 0; round < 20; round++) {
      const batch = test.batchOf(Array.from({ length: 40 }, (_, index) => `memo ${index}`));
      const shares = [
        batch,
        new PickedRows(batch, [...Array(30).keys()]),
        new PickedRows(
          batch,
          [...Array(30).keys()].map((index) => index + 10),
        ),
        batch,
      ];
      const results = await Promise.all(
        sinks.map((sink, index) => sink.write(shares[index]!, index % 2 ? AGAIN : ATTEMPT)),
      );
      const sum = (of: (result: (typeof results)[0]) => number): number =>
        results.reduce((total, result) => total + of(result), 0);
      expect(sum(({ written }) => written)).toBe(40);
      expect(sum(({ duplicates }) => duplicates.length)).toBe(100);
      expect(sum(({ conflicts }) => conflicts.length)).toBe(0);
    }
    expect(await test.count()).toBe(800);
  });
});

describe('a row with the uuid of one that the role cannot see', () => {
  it('is refused with the reason, and does not keep the writer busy', async () => {
    const { database } = test;
    const role = `blind_${database.schema}`;
    const uuid = 'a0000000-0000-4000-8000-000000000002';
    await test.makeSink().write(test.batchOf(['theirs'], { uuid }), ATTEMPT);
    await database.sql(`
      CREATE ROLE ${role} LOGIN PASSWORD 'pass';
      GRANT USAGE ON SCHEMA "${database.schema}" TO ${role};
      GRANT INSERT, SELECT ON $T TO ${role};
      ALTER TABLE $T ENABLE ROW LEVEL SECURITY;
      CREATE POLICY blind ON $T FOR INSERT TO ${role} WITH CHECK (true)`);
    try {
      const url = new URL(database.url);
      [url.username, url.password] = [role, 'pass'];
      const sink = test.makeSink('insert', { url: url.href });
      for (const attempt of [ATTEMPT, AGAIN]) {
        const told = await refusal(sink.write(test.batchOf(['ours'], { uuid }), attempt));
        expect(told).toMatchObject({ kind: 'row', sqlState: '23505' });
        // No RETURNING: the policy lets the role write rows that it cannot read.
        expect(await sink.write(test.batchOf(MEMOS), attempt)).toMatchObject({ written: 4 });
      }
      const each = await sink.writeEach(test.batchOf(['ours'], { uuid }), AGAIN);
      expect(each.refused).toMatchObject([{ index: 0, error: { sqlState: '23505' } }]);
    } finally {
      await test.closeSinks();
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});
